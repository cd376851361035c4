"""What the doctor says, and that it says it without touching anything."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import decision
from small_release import small_release
from test_answer_bank import ENTRIES, WordHashes

from connectors.ports import Record, TopicSpec, TopicState
from connectors.registry.object_files import ObjectFiles
from headrace.applications import load_application
from headrace.settings import load_settings
from headrace.tools.answers.bank import AnswerBank
from headrace.tools.answers.topic import publish
from headrace.tools.doctor import examine
from headrace.tools.doctor.catalogues import catalogue_finding
from headrace.tools.doctor.cluster import topic_finding
from headrace.tools.doctor.findings import Check, Finding, run_checks
from headrace.tools.doctor.places import (
    bank_findings,
    conversation_findings,
    disk_findings,
    examine_registry,
    registry_findings,
    store_findings,
)
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.application import AnswerBankSpec, Application, HeadSpec
from streams.topics import DEAD_LETTERS_TOPIC, own_specs

APP = Application(name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),))
DEAD_LETTERS = next(spec for spec in own_specs([APP]) if spec.name == DEAD_LETTERS_TOPIC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {
        "HEADRACE_HOME": str(tmp_path / "home"),
        "HEADRACE_CACHE": str(tmp_path / "cache"),
        "HEADRACE_BROKER": "kafka://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def wiring() -> Wiring:
    return Wiring(load_settings())


def test_an_examination_makes_nothing_and_fetches_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-B10: it made the SQLite file, built encoders and ran pip."""
    monkeypatch.setattr("connectors.encoders.wheels.EncoderPackage.fetch_into", lambda *_: pytest.fail("fetched"))
    monkeypatch.setattr("connectors.encoders.files.build_onnx", lambda *_: pytest.fail("built"))
    findings = examine(wiring(), [APP])
    assert not home.exists() and not (home.parent / "cache").exists()
    by_name = {finding.what: finding for finding in findings}
    assert by_name["store"].ok and "not there yet" in by_name["store"].detail
    assert by_name["registry"].ok and not by_name["broker"].ok
    assert by_name["encoder"].ok


def test_the_encoders_that_applications_name_are_looked_at_beside_the_configured_one(home: Path) -> None:
    (home.parent / "mine").mkdir()
    apps = [APP.model_copy(update={"encoder": encoder}) for encoder in (str(home.parent / "mine"), "zh", "")]
    lines = [(found.ok, found.detail) for found in examine(wiring(), apps) if found.what == "encoder"]
    assert [ok for ok, _ in lines] == [True, False, True]
    assert lines[0][1].startswith(wiring().settings.encoder) and "mine" in lines[1][1]
    assert "headrace encoders add zh" in lines[2][1] or lines[2][1].startswith("zh, weights")


def test_whatever_a_check_raises_is_a_failed_line_and_the_others_run() -> None:
    """D-B10: anything but an error of ours ended the examination with a traceback."""

    def half() -> Iterator[Finding]:
        yield Finding("first", True, "fine")
        raise ZeroDivisionError("of\nnothing")

    def refused() -> list[Finding]:
        raise ConfigError("no")

    findings = run_checks([Check("a", half), Check("b", refused), Check("c", lambda: [Finding("c", True, "fine")])])
    assert [(finding.what, finding.ok) for finding in findings] == [
        ("first", True),
        ("a", False),
        ("b", False),
        ("c", True),
    ]
    assert findings[1].detail == "the check itself failed: ZeroDivisionError: of nothing"


def test_no_line_holds_a_secret() -> None:
    """D-B10, D-A6: what a client prints of its address stood in the line as it came."""
    said = "no answer from https://elastic:hunter2@store:9200, password=hunter2"
    (finding,) = run_checks([Check("store", lambda: [Finding("store", False, said)])])
    assert "hunter2" not in finding.detail and "store:9200" in finding.detail


def state(spec: TopicSpec, *, replication: int = 3, cleanup: str | None = None, partitions: int = 4) -> TopicState:
    return TopicState(spec.name, partitions, replication, spec.cleanup if cleanup is None else cleanup, "aaaaaaaa")


GOOD = {"min.insync.replicas": "2", "max.message.bytes": "2097152", "retention.ms": str(90 * 86_400_000)}


@pytest.mark.parametrize(
    ("topic", "config", "brokers", "says"),
    [
        pytest.param(state(DEAD_LETTERS), GOOD, 3, "", id="as it must be"),
        pytest.param(state(DEAD_LETTERS), GOOD | {"retention.ms": "-1"}, 3, "", id="kept for ever"),
        pytest.param(state(DEAD_LETTERS, replication=1), GOOD, 1, "", id="one replica of one broker"),
        pytest.param(state(DEAD_LETTERS, replication=1), GOOD, 3, "one replica in a cluster of 3", id="one of three"),
        pytest.param(
            state(DEAD_LETTERS), GOOD | {"min.insync.replicas": "1"}, 3, "min.insync.replicas is 1", id="one in step"
        ),
        pytest.param(state(DEAD_LETTERS, cleanup="compact"), GOOD, 3, "cleanup.policy is compact", id="compacted"),
        pytest.param(state(DEAD_LETTERS, cleanup=""), {}, 3, "DescribeConfigs", id="settings that may not be seen"),
        pytest.param(
            state(DEAD_LETTERS), GOOD | {"max.message.bytes": "1048588"}, 3, "max.message.bytes is 1048588", id="small"
        ),
        pytest.param(
            state(DEAD_LETTERS), GOOD | {"retention.ms": "604800000"}, 3, "retention.ms is 604800000", id="a week"
        ),
    ],
)
def test_a_topic_that_somebody_else_made_is_compared_with_how_it_must_stand(
    topic: TopicState, config: dict[str, str], brokers: int, says: str
) -> None:
    """S-A6, S-A11, D-B10: replicas, in-step replicas, retention and the size limit were not looked at."""
    finding = topic_finding(DEAD_LETTERS, topic, config, brokers=brokers, is_source=False)
    assert finding.ok is (not says) and says in finding.detail


@pytest.mark.parametrize("spec", own_specs([]), ids=lambda spec: spec.name)
def test_a_topic_as_headrace_makes_it_is_as_it_must_be(spec: TopicSpec) -> None:
    """A setting that is no whole number (the cleaner's ratio of the monitor's state) ended the check of its topic."""
    finding = topic_finding(
        spec, state(spec, partitions=spec.partitions), GOOD | spec.config, brokers=1, is_source=False
    )
    assert finding.ok, finding.detail


@pytest.mark.parametrize(
    ("cleanup", "config", "is_kept"),
    [
        ("compact", {}, True),
        ("delete", {"retention.ms": "604800000", "retention.bytes": "-1"}, False),
        ("compact,delete", {"retention.ms": "604800000"}, False),
        ("delete", {"retention.ms": "-1", "retention.bytes": "-1"}, True),
        ("delete", {"retention.ms": "-1", "retention.bytes": "1000000"}, False),
    ],
)
def test_a_catalogues_topic_that_loses_what_it_says_of_items_is_told(
    cleanup: str, config: dict[str, str], is_kept: bool
) -> None:
    spec = TopicSpec("shop.items", 1, cleanup="compact", is_strict=False)
    stands = state(spec, cleanup=cleanup, partitions=1)
    finding = topic_finding(spec, stands, GOOD | config, brokers=3, is_source=True)
    assert finding.ok is is_kept and ("--add-config cleanup.policy=compact" in finding.detail) is not is_kept


def test_withdrawals_under_keys_of_a_shops_own_are_told() -> None:
    """What they say ends with their records, and a tombstone of a row says of no item that it is gone."""

    def record(key: str, said: dict[str, object] | None) -> Record:
        return Record("shop.items", 0, 0, key.encode(), None if said is None else json.dumps(said).encode(), 0)

    own = [record("i1", {"item_id": "i1", "withdrawn": True}), record("i2", None), record('{"item_id": "i3"}', None)]
    finding = catalogue_finding("shop", own, {"i2", "i3"})
    assert finding.detail == "the newest 3 records withdraw items by their own ids, or none"
    rows = [record("row-7", {"item_id": "i7", "withdrawn": True}), record("row-8", None), record("x", {"item_id": 1})]
    finding = catalogue_finding("shop", [*own, *rows], {"i2", "i3"})
    assert finding.ok and finding.detail.startswith("of the newest 6 records 1 withdraw items under keys that are not")
    assert "(i7)" in finding.detail and "1 are tombstones" in finding.detail and "(row-8)" in finding.detail
    assert finding.detail.endswith("key the topic by the item's id")


def test_a_source_topics_cleanup_is_its_owners_to_choose() -> None:
    spec = TopicSpec("support.chats")
    assert topic_finding(spec, state(spec, cleanup="compact"), GOOD, brokers=3, is_source=True).ok


def test_a_folder_that_cannot_be_written_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-B10: a registry folder that is no folder was ok."""
    blocked = home.parent / "file"
    blocked.write_text("")
    monkeypatch.setenv("HEADRACE_REGISTRY", str(blocked / "registry"))
    monkeypatch.setenv("HEADRACE_STORE", f"sqlite:///{blocked}/decisions.db")
    (registry,), (store,) = registry_findings(wiring()), store_findings(wiring())
    assert not registry.ok and not store.ok
    assert str(blocked) in registry.detail and str(blocked) in store.detail


@pytest.mark.parametrize("is_refused", [False, True])
def test_an_object_store_is_tried_and_left_as_it_was(
    is_refused: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-B10: whether the registry on an object store can be written was not looked at."""
    root = f"memory://{home.parent.name}"
    monkeypatch.setenv("HEADRACE_REGISTRY", root)
    if is_refused:
        monkeypatch.setattr(ObjectFiles, "_create", lambda *_: (_ for _ in ()).throw(PermissionError("AccessDenied")))
    (finding,) = registry_findings(wiring())
    assert finding.ok is not is_refused
    assert root in finding.detail and ("AccessDenied" in finding.detail) is is_refused
    assert not wiring().registry().models()


def test_a_damaged_store_is_no_good_store(home: Path) -> None:
    home.mkdir()
    (home / "decisions.db").write_bytes(b"SQLite format 3\0" + b"x" * 8_000)
    (finding,) = run_checks([Check("store", lambda: store_findings(wiring()))])
    assert not finding.ok


def published(home: Path) -> Path:
    release = small_release()
    registry = wiring().registry()
    registry.publish("support", release.manifest, release.blobs)
    registry.promote("support", "1")
    return home / "registry"


def test_a_champion_whose_file_was_altered_or_is_gone_is_not_ok(home: Path) -> None:
    """D-B10: "champion 1 of 1", whatever stood in the registry."""
    folder = published(home)
    (finding,) = examine_registry(wiring(), [APP])
    assert finding.ok and "nothing was announced yet" in finding.detail
    manifest = json.loads((folder / "models" / "support" / "1" / "manifest.json").read_text())
    sha256 = next(iter(manifest["files"].values()))["sha256"]
    blob = folder / "blobs" / sha256
    content = blob.read_bytes()
    blob.chmod(0o600)
    blob.write_bytes(content[:-1] + b"?")
    (altered,) = examine_registry(wiring(), [APP])
    blob.unlink()
    (gone,) = examine_registry(wiring(), [APP])
    assert not altered.ok and not gone.ok
    assert sha256 in gone.detail


def test_a_champion_is_compared_with_what_was_announced(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-A3, D-B10: an altered manifest agrees with itself."""
    from streams.wire.records import Release

    published(home)
    release = Release(
        model="support", champion="1", revision=1, manifest_sha256={"1": "0" * 64}, by="test", at="2026-01-01T00:00:00Z"
    )
    monkeypatch.setattr("headrace.tools.doctor.places._announced", lambda *_: release)
    (finding,) = examine_registry(wiring(), [APP])
    assert not finding.ok and "the registry was altered" in finding.detail


def test_the_disk_of_each_place_is_looked_at_once(tmp_path: Path) -> None:
    places = {"HEADRACE_HOME": tmp_path / "a", "HEADRACE_CACHE": tmp_path / "b", "HEADRACE_STORE": Path("/proc/self")}
    findings = list(disk_findings(places))
    assert len(findings) == 2
    assert "HEADRACE_HOME, HEADRACE_CACHE" in findings[0].detail and "HEADRACE_STORE" in findings[1].detail


def test_a_bank_that_workers_do_not_know_is_told_and_none_is_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = APP.model_copy(update={"answer_bank": AnswerBankSpec()})
    (empty,) = bank_findings(wiring(), [APP, app])
    assert empty.ok and "answers add FILE --app support" in empty.detail and not home.exists()
    store = wiring().answers("support")
    AnswerBank(store, WordHashes()).add(ENTRIES)
    known: dict[bytes, bytes | None] = {}
    monkeypatch.setattr("headrace.tools.doctor.places.last_records", lambda *_: known)
    (other,) = bank_findings(wiring(), [app])
    assert not other.ok and "headrace answers publish --app support" in other.detail

    class Sent:
        def send(self, topic: str, value: bytes | None, key: bytes) -> None:
            known[key] = value

        def flush(self) -> None: ...

    publish(store, {}, Sent(), app.answer_bank_topic)  # type: ignore[arg-type]
    store.close()
    (same,) = bank_findings(wiring(), [app])
    assert same.ok and f"{len(ENTRIES)} entries" in same.detail


def test_messages_that_belong_to_no_conversation_are_told_of_who_hands_over(home: Path) -> None:
    handing = load_application("support")
    assert handing.hand_over is not None
    assert not list(conversation_findings(wiring(), [handing])) and not home.exists()  # nothing is made
    store = wiring().store()
    store.prepare({"support": handing.head_names})
    beside = {
        "app": "support",
        "path": "fast",
        "latency_ms": 1,
        "labels": {"intent": {"label": "x", "probability": 1.0}},
    }
    assert store.index([decision(n) | beside | {"key": None} for n in range(2)]).created == 2
    (all_of_them,) = conversation_findings(wiring(), [handing])
    assert not all_of_them.ok
    assert store.index([decision(n) | beside for n in range(2, 20)]).created == 18
    (most,) = conversation_findings(wiring(), [load_application("finance"), handing])
    assert not most.ok and "2 of the newest 20 messages (10.0 %) belong to no conversation" in most.detail
    assert "/conversation_id" in most.detail and "from 10 % on" in most.detail
    assert store.index([decision(20) | beside]).created == 1
    store.close()
    (some,) = conversation_findings(wiring(), [handing])
    assert some.ok and "2 of the newest 21 messages (9.5 %)" in some.detail
