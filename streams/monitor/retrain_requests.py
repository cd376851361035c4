"""When a better model is asked for: once for each need, as it stands in `feedback.labels` and `retrain.requests`."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from connectors.ports import Record
from models.errors import MessageError
from streams.application import Application
from streams.monitor.drift.episode import Episode
from streams.monitor.retrain_policy import LabelCount, RetrainPolicy
from streams.wire.feedback import Opinion, Opinions, of_topics
from streams.wire.records import RetrainRequest, decode, format_time

log = logging.getLogger(__name__)

MORE_LABELS: Final = 1.5  # times as many as at the last request: a challenger that was refused needs more than the same
SETTLED: Final = 10  # second words since then bring back labels that were set aside: as many as are asked for at once


class RetrainRequests:
    """Of one application. Both topics give the whole of its state."""

    def __init__(self, app: Application, policy: RetrainPolicy, opinions: Opinions | None = None) -> None:
        """opinions: where labels are kept; None: here, and what is no label is logged."""
        self._app, self._policy = app, policy
        kept = Opinions(of_topics(app.source_topics)) if opinions is None else opinions
        self._labels = LabelCount(kept, app.head_names[0] if app.head_names else "")
        # version to the labels at its last request, since when, and how many were settled
        self._asked: dict[str, tuple[int, int, int | None]] = {}
        self._asked_ms: dict[str, int] = {}  # request to when it was made
        self._asked_about: dict[str, set[str]] = defaultdict(set)  # version to its requests

    def take_label(self, record: Record) -> tuple[Opinion | None, Opinion | None]:
        """Take a record of `feedback.labels` in: see `LabelCount.take`."""
        return self._labels.take(record)

    @property
    def opinions(self) -> Opinions:
        """All labels that stand, as they were given."""
        return self._labels.opinions

    def take_request(self, record: Record) -> None:
        """Take a record of `retrain.requests` in, so that nothing is asked for twice. One that is not ours, or of a
        writer that gave no figures, asked for nothing we know."""
        try:
            request = decode(RetrainRequest, record.value)
            if request.app == self._app.name:
                self._note(request)
        except (MessageError, KeyError, TypeError, ValueError):
            return

    def labels_since(
        self, version: str, champion_since_ms: int, found_ms: Sequence[int], led_to_it: str | None = None
    ) -> int:
        """From when on labels count for a request about a champion: since the earliest of its episodes that no request
        was made after; where there is none, as at the last request. So an episode that opens beside another one takes
        no label from it. But not since before the request that led to it, if one did, or else since before it serves:
        labels given while it was trained taught it nothing. champion_since_ms: when it began to serve. found_ms: when
        its episodes were found. led_to_it: the request's id. All in milliseconds since 1970."""
        asked_ms = max((self._asked_ms[request] for request in self._asked_about.get(version, ())), default=-1)
        unanswered = [at_ms for at_ms in found_ms if at_ms > asked_ms]
        taught_ms = min(self._asked_ms.get(led_to_it or "", champion_since_ms), champion_since_ms)
        return max(taught_ms, min(unanswered, default=self._asked.get(version, (0, 0, None))[1]))

    def labels(self, since_ms: int) -> int:
        """Opinions given at `since_ms` (milliseconds since 1970) or later."""
        return self._labels.since(since_ms).total

    def missing(self, version: str, since_ms: int, *, has_episode: bool) -> int:
        """How many more labels, beside those since `since_ms`, lead to a request about the champion; 0: one is due."""
        state = self._labels.since(since_ms)
        asked_labels, asked_since_ms, settled = self._asked.get(version, (0, 0, None))
        least = int(asked_labels * MORE_LABELS) if asked_since_ms >= since_ms else 0
        if settled is not None and state.settled >= settled + SETTLED:
            least = 0
        policy = self._policy.missing(state, has_episode=has_episode, look=self._look(version))
        return max(least - state.total, policy)

    def missing_at_random(self, version: str, since_ms: int, *, has_episode: bool) -> int:
        """How many of them must be of wrong decisions that were drawn at random: only those say whether a new model is
        better."""
        state = self._labels.since(since_ms)
        return self._policy.missing_at_random(state, has_episode=has_episode, look=self._look(version))

    def tests_suffice(self, version: str, since_ms: int) -> bool:
        """Whether the labels since `since_ms` can prove the next challenger of the champion."""
        return self._policy.tests_suffice(self._labels.since(since_ms), look=self._look(version))

    def earliest_ms(self, now_ms: int) -> int:
        """When a request may be made, with enough labels: `now_ms`, or later. Milliseconds since 1970."""
        return self._policy.earliest_ms(list(self._asked_ms.values()), now_ms)

    def due(self, version: str, since_ms: int, episode: Episode | None, now_ms: int) -> RetrainRequest | None:
        """A request about the champion, where the labels since `since_ms` are enough, were not asked for already, and
        one may be made now."""
        if self.missing(version, since_ms, has_episode=episode is not None) or self.earliest_ms(now_ms) > now_ms:
            return None
        state = self._labels.since(since_ms)
        request = RetrainRequest(
            id=f"{self._app.name}@{version}-{since_ms}-{state.total}" + (f"-{state.settled}" if state.settled else ""),
            app=self._app.name,
            reason=f"drift since event {episode.onset_event}" if episode is not None else "new labels",
            evidence={"version": version, "labels": state.total, "since_ms": since_ms, "settled": state.settled},
            at=format_time(now_ms),
        )
        self._note(request)
        log.info("%s@%s: asking for a retrained model, %d labels are in", request.app, version, state.total)
        return request

    def _look(self, version: str) -> int:
        """Which challenger of this champion the next one is, at most: one that no gate saw is no look."""
        return 1 + len(self._asked_about[version])

    def _note(self, request: RetrainRequest) -> None:
        evidence, asked_ms = request.evidence, milliseconds(request.at)
        if not asked_ms:
            raise ValueError(f"no time: {request.at!r}")
        settled = evidence.get("settled")  # none: written before it was noted
        settled = None if settled is None else int(settled)
        figures = int(evidence["labels"]), int(evidence.get("since_ms", asked_ms)), settled
        version = str(evidence["version"])
        self._asked_ms[request.id] = asked_ms
        self._asked_about[version].add(request.id)
        self._asked[version] = figures


def milliseconds(at: str) -> int:
    """RFC 3339 as milliseconds since 1970, UTC where it names no zone; 0 where it cannot be read."""
    try:
        time = datetime.fromisoformat(at)
        return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return 0
