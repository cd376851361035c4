"""Writing `model.releases`, which is the one truth of what serves: compare, announce, read back, see what stands.

The registry's champion file is a cache of it, written by whoever announced.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connectors.errors import TopicMismatch
from connectors.ports import Publisher, ReleaseRegistry, TopicReader
from headrace.releases.history import ReleaseHistory
from models.errors import ReleaseCorrupt
from streams.clock import wall_clock_ms
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release, Step, format_time
from streams.wire.release_state import Announced, expecting, what_stands

SET_ASIDE_KEPT = 20
HASHES_KEPT = 100  # of the versions of a model, the newest: `models verify` compares with them

Change = Callable[[Release | None], Release]


class ReleaseLog:
    """The topic for those who announce. Every call reads it to its end first; all raise BrokerUnavailable."""

    def __init__(self, open_reader: Callable[[], TopicReader], open_publisher: Callable[[], Publisher]) -> None:
        self._open_reader, self._open_publisher = open_reader, open_publisher
        self.history = ReleaseHistory(open_reader, open_publisher)

    def standing(self, model: str) -> Announced | None:
        """What stands of a model; None where nothing was said of it yet."""
        return self._standing().get(model)

    def announce(self, model: str, change: Change) -> Announced:
        """Change what stands, whatever it is: what a person says counts. Returns what stands afterwards, which is
        another one's word where that came later."""
        standing = self.standing(model)
        self._write(_dated(change, standing))
        self.history.keep(model)
        return self._present(model)

    def announce_if(self, model: str, expected: Announced | None, change: Change) -> Announced:
        """Change what stands only while it is still `expected`; returns what stands afterwards.

        Of several who expected the same, the first one's word stands: the others' count for nothing, wherever they
        died or were held up (`release_state`).
        """
        standing = self.standing(model)
        if standing is None or (expected is not None and standing.release == expected.release):
            self._write(_dated(change, standing), expecting(standing))
            self.settle(model)
            self.history.keep(model)
        elif standing.lost:
            self.settle(model)
        return self._present(model)

    def settle(self, model: str) -> None:
        """Say what stands once more where records after it count for nothing, or compaction would keep the last of
        those. Whoever sees such records calls it, as their writers may have died: then it is done however often."""
        standing = self.standing(model)
        if standing is not None and standing.lost:
            self._write(standing.release, expecting(standing))

    def _present(self, model: str) -> Announced:
        standing = self.standing(model)
        if standing is None:  # somebody wrote a tombstone a moment ago
            raise TopicMismatch(f"{RELEASES_TOPIC} does not hold what was announced of {model}; try again")
        return standing

    def _standing(self) -> dict[str, Announced]:
        reader = self._open_reader()
        try:
            return what_stands(reader.read(RELEASES_TOPIC))
        except TopicMismatch:  # the topic is not there yet
            return {}
        finally:
            reader.close()

    def _write(self, release: Release, headers: Iterable[tuple[str, bytes]] = ()) -> None:
        publisher = self._open_publisher()
        try:
            publisher.send(RELEASES_TOPIC, release.encode(), release.model.encode(), headers)
            publisher.flush()
        finally:
            publisher.close()


def _dated(change: Change, announced: Announced | None) -> Release:
    """The changed state, with the time since when its champion serves: whoever leaves that in place keeps it."""
    standing = None if announced is None else announced.release
    release = change(standing)
    if standing is None or standing.champion != release.champion:
        return release.model_copy(update={"champion_since": release.at})
    return release.model_copy(update={"champion_since": standing.champion_since or standing.at})


def next_release(
    registry: ReleaseRegistry,
    model: str,
    version: str,
    standing: Release | None,
    *,
    by: str,
    request: str | None = None,
    accept_altered: bool = False,
    reason: str = "",
    who: str | None = None,
    figures: Mapping[str, Any] | None = None,
    rolls_back: bool | None = None,
) -> Release:
    """The whole state after `version` became champion; trials end with it. request: the retrain request that led to it.
    accept_altered: though it was announced before with another hash. reason, who, figures: of the step, see
    records.Step. rolls_back: whether what served is set aside; by default where a person rolls back. Raises
    ReleaseCorrupt, RegistryError."""
    hashes = dict(standing.manifest_sha256) if standing is not None else {}
    kind = "rolled_back" if (by == "rollback" if rolls_back is None else rolls_back) else "champion"
    given_up = standing.candidate if standing is not None else None
    if given_up is not None and given_up.version != version:
        reason = "; ".join(filter(None, (reason, f"{given_up.version}, which was {given_up.stage}, is given up")))
    if accept_altered:
        hashes.pop(version, None)
    return Release(
        model=model,
        champion=version,
        previous=_before(standing, version),
        revision=standing.revision + 1 if standing is not None else 1,
        manifest_sha256=manifest_hashes(registry, model, [version], hashes),
        by=by,
        at=format_time(wall_clock_ms()),
        request=request,
        step=Step(kind=kind, version=version, reason=reason, who=who, figures=dict(figures or {})),
        set_aside=set_aside(standing, standing.champion if standing is not None and kind == "rolled_back" else None),
    )


def set_aside(standing: Release | None, version: str | None) -> list[str]:
    """The versions that only a person lets serve again, with this one as well."""
    before = standing.set_aside if standing is not None else []
    return [one for one in before if one != version][-SET_ASIDE_KEPT:] + ([] if version is None else [version])


def _before(standing: Release | None, version: str) -> str | None:
    """What a rollback from `version` goes back to; a version announced again keeps what it had."""
    if standing is None:
        return None
    return standing.previous if standing.champion == version else standing.champion


def manifest_hashes(
    registry: ReleaseRegistry, model: str, versions: Iterable[str | None], announced: dict[str, str]
) -> dict[str, str]:
    """The hashes announced so far and those of these versions, None among which is left out.

    Raises ReleaseCorrupt where a manifest is another one than when it was announced."""
    hashes = dict(announced)
    for version in (version for version in versions if version is not None):
        actual = hashlib.sha256(registry.manifest(model, version)).hexdigest()
        if hashes.pop(version, actual) != actual:
            raise ReleaseCorrupt(
                f"the manifest of {model}@{version} is not the one that was announced: the registry was altered; "
                f"promote another version, or this one with --accept-altered where that was done on purpose"
            )
        hashes[version] = actual  # the last ones are kept
    return dict(list(hashes.items())[-HASHES_KEPT:])
