"""Where things are kept: the store, the registry with its releases, the disks."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.errors import BrokerUnavailable, RegistryError, RegistryUnavailable, StoreUnavailable
from connectors.ports import AnswerStore, ReleaseRegistry, SearchQuery
from connectors.private_folders import is_open_to_others
from headrace.releases.references import labels_of
from headrace.tools.answers.publishing import last_records
from headrace.tools.answers.topic import differs
from headrace.tools.doctor.findings import Check, Finding
from headrace.wiring import Wiring
from models.errors import ConnectorError, HeadraceError
from models.figures import number_of
from streams.application import Application, labels_without_use
from streams.classify.release_loading import announced_hash, proved_manifest
from streams.wire.records import Release

FREE_BYTES = 2_000_000_000
NOT_YET = "does not decide yet"  # a queue that stands ready for a label is no mistake
NEWEST = 500  # messages
MOST_ALONE = 0.1  # of them: some have no conversation by chance, from here on nobody gets what should be handed over


def place_checks(wiring: Wiring, apps: Sequence[Application]) -> list[Check]:
    """All that is looked at here."""
    return [
        Check("settings", lambda: _settings(wiring)),
        Check("home", lambda: [home_finding(wiring.settings.home_path)]),
        Check("store", lambda: store_findings(wiring)),
        Check("registry", lambda: registry_findings(wiring)),
        Check("models", lambda: examine_registry(wiring, apps)),
        Check("answers", lambda: bank_findings(wiring, apps)),
        Check("conversations", lambda: conversation_findings(wiring, apps)),
        Check("disk", lambda: disk_findings(places_of(wiring))),
    ]


def _settings(wiring: Wiring) -> Iterator[Finding]:
    settings = wiring.settings
    yield Finding("settings", True, f"broker {settings.broker}, store {settings.store_url}, home {settings.home_path}")


def home_finding(home: Path) -> Finding:
    """Customers' texts lie there: a warning where other users of the machine can read them."""
    if is_open_to_others(home):
        return Finding("home", True, f"other users of this machine can look into {home}: chmod 700 {home}")
    return Finding("home", True, f"{home} is its owner's alone" if home.exists() else f"{home} is not there yet")


def store_findings(wiring: Wiring) -> Iterator[Finding]:
    """Whether the store answers, is whole and takes documents. A file that is not there is not made."""
    url, file = wiring.settings.store_url, _store_file(wiring)
    if file is not None:
        if not file.exists():
            yield _writable("store", file.parent, f"{url} is not there yet; the first indexer makes it")
            return
        if not os.access(file, os.W_OK):  # asked before it is opened, which fails otherwise
            raise StoreUnavailable(f"{file} may not be written by this user")
    store = wiring.store()
    try:
        store.check()
        total = store.search(SearchQuery(limit=1)).total
        yield Finding("store", True, f"{url} answers, {number_of(total, 'decision')}")
        if missing := store.missing_rights():
            yield Finding("store", False, f"this user may read and not write: an indexer needs {', '.join(missing)}")
    finally:
        store.close()


def _store_file(wiring: Wiring) -> Path | None:
    """Of SQLite; None: the store is another."""
    url = wiring.settings.store_url
    return Path(url.removeprefix("sqlite:///")).expanduser() if url.startswith("sqlite:///") else None


def registry_findings(wiring: Wiring) -> Iterator[Finding]:
    """Whether releases can be written where they are to stand."""
    url = wiring.settings.registry_url
    registry = wiring.registry()
    try:
        registry.try_write()
    except RegistryUnavailable:
        raise
    except RegistryError as error:
        yield Finding("registry", False, f"{error}; a worker only reads it, training and retrainers write")
    else:
        yield Finding("registry", True, f"{_folder_of(url) or url} can be written")


def examine_registry(wiring: Wiring, apps: Sequence[Application]) -> Iterator[Finding]:
    """Each application's champion: what was announced, every file by its hash, and whether its labels are those that
    the application's file names."""
    registry = wiring.registry()
    for app in apps:
        if app.kind != "classify":
            continue
        announced = _announced(wiring, app.name)
        version = registry.champion(app.name) if announced is None else announced.champion
        if version is None:
            yield Finding(f"model {app.name}", True, _no_model(app))
            continue
        try:
            manifest = _proved(registry, app.name, version, announced)
        except HeadraceError as error:
            yield Finding(f"model {app.name}", False, str(error))
            continue
        files = len(json.loads(manifest)["files"])
        compared = "as it was announced" if announced is not None else "agrees with itself; nothing was announced yet"
        detail = f"champion {version} of {len(registry.versions(app.name))}, {number_of(files, 'file')}, {compared}"
        yield Finding(f"model {app.name}", True, detail)
        for wrong in labels_without_use(app, labels_of(manifest)):
            yield Finding(f"labels {app.name}", NOT_YET in wrong, f"{app.given_as}: {wrong}")


def _proved(registry: ReleaseRegistry, model: str, version: str, announced: Release | None) -> bytes:
    """The manifest, once it and each file that it names is what it should be. Raises ReleaseCorrupt, RegistryError."""
    expected = None if announced is None else announced_hash(announced, version)
    manifest = proved_manifest(registry, model, version, expected)
    blob = registry.blobs_of(manifest)
    for file in json.loads(manifest)["files"].values():
        blob(file["sha256"])
    return manifest


def _announced(wiring: Wiring, model: str) -> Release | None:
    """What `model.releases` says; None where it says nothing of the model, or no broker answers (the broker's own check
    says that)."""
    try:
        standing = wiring.release_log().standing(model)
    except ConnectorError:
        return None
    return None if standing is None else standing.release


def _no_model(app: Application) -> str:
    if app.corpus is None:
        return f"no model yet, and no corpus: `headrace train {app.given_as} --data FILE --register`"
    return f"no model yet; `headrace up {app.given_as}` trains one from the corpus"


def places_of(wiring: Wiring) -> dict[str, Path]:
    """Setting to the folder that it names, of those that lie on this machine."""
    settings = wiring.settings
    places = {"HEADRACE_HOME": settings.home_path, "HEADRACE_CACHE": settings.cache.expanduser().absolute()}
    if (folder := _folder_of(settings.registry_url)) is not None:
        places["HEADRACE_REGISTRY"] = folder
    if settings.store_url.startswith("sqlite:///"):
        places["HEADRACE_STORE"] = Path(settings.store_url.removeprefix("sqlite:///")).expanduser().absolute().parent
    return places


def bank_findings(wiring: Wiring, apps: Sequence[Application]) -> Iterator[Finding]:
    """Whether workers answer from the bank that the store holds. A bank that is not there is not made."""
    for app in apps:
        if app.answer_bank is None:
            continue
        what = f"answers {app.name}"
        if not wiring.has_answers(app.name):
            yield Finding(what, True, f"the bank is empty: `headrace answers add FILE --app {app.given_as}` fills it")
            continue
        store = wiring.answers(app.name)
        try:
            stand = f"{len(store.entries())} entries stand in the store"
            yield Finding(what, *_told_of_bank(wiring, app, store, stand))
        finally:
            store.close()


def _told_of_bank(wiring: Wiring, app: Application, store: AnswerStore, stand: str) -> tuple[bool, str]:
    try:
        known = last_records(wiring, app)
    except BrokerUnavailable:
        if wiring.settings.broker != "embedded":
            raise
        return True, f"{stand}; workers take them with the next `headrace up`"
    if differs(store, known):
        return False, f"{stand}, and workers answer from others: `headrace answers publish --app {app.given_as}`"
    return True, f"{stand}, and workers answer from them"


def conversation_findings(wiring: Wiring, apps: Sequence[Application]) -> Iterator[Finding]:
    """Whether the newest decisions of applications that hand over belong to conversations: about others nobody is told
    anything. A store that is not there is not made."""
    handing = [app for app in apps if app.hand_over is not None]
    file = _store_file(wiring)
    if not handing or (file is not None and not file.exists()):
        return
    store = wiring.store()
    try:
        for app in handing:
            newest = store.search(SearchQuery(app=app.name, limit=NEWEST)).documents
            alone = sum(document.get("key") is None for document in newest)
            if alone:
                is_few = alone < MOST_ALONE * len(newest)
                yield Finding(f"conversations {app.name}", is_few, _told_of_strays(app, alone, len(newest)))
    finally:
        store.close()


def _told_of_strays(app: Application, alone: int, newest: int) -> str:
    key = app.source.key
    way = "write [source] key, or give records a key in Kafka" if key is None else f"see that {key} names one"
    return (
        f"{alone} of the newest {number_of(newest, 'message')} "
        f"({100 * alone / newest:.1f} %) belong to no conversation "
        f"(a mistake from {100 * MOST_ALONE:.0f} % on): no customer is told anything about them, and nobody is "
        f"handed them; {way}"
    )


def disk_findings(places: dict[str, Path]) -> Iterator[Finding]:
    """Free room of each disk once, under the settings that lie on it."""
    by_disk: dict[int, list[str]] = {}
    standing = {setting: _standing(place) for setting, place in places.items()}
    for setting, place in standing.items():
        by_disk.setdefault(place.stat().st_dev, []).append(setting)
    for settings in by_disk.values():
        place = standing[settings[0]]
        free = shutil.disk_usage(place).free
        advice = "" if free > FREE_BYTES else f": free 2 GB or move {' or '.join(settings)}"
        yield Finding("disk", free > FREE_BYTES, f"{free / 1e9:.1f} GB free at {place} ({', '.join(settings)}){advice}")


def _writable(what: str, folder: Path, detail: str) -> Finding:
    place = _standing(folder)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding(what, True, detail)
    return Finding(what, False, f"{place} may not be written by this user, or is no folder")


def _folder_of(registry_url: str) -> Path | None:
    if "://" in registry_url and not registry_url.startswith("file://"):
        return None
    return Path(registry_url.removeprefix("file://")).expanduser().absolute()


def _standing(place: Path) -> Path:
    """The place, or the nearest folder above it that is there."""
    while not place.exists():
        place = place.parent
    return place
