"""`model.releases` is the one truth: what stands there last counts, whoever announced what at the same time."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from topics_in_memory import MemoryTopics

from connectors.errors import BrokerUnavailable
from connectors.registry import FolderRegistry
from headrace.releases.release_log import ReleaseLog, next_release
from models.errors import ReleaseCorrupt
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release
from streams.wire.release_follower import SETTLE_SECONDS, ReleaseFollower
from streams.wire.release_state import Announced, champion_since, expecting


def release(champion: str, revision: int = 1, model: str = "support", **fields: Any) -> Release:
    known = {"manifest_sha256": {champion: "0"}, "by": "test", "at": f"2026-01-01T00:00:0{champion}Z"} | fields
    return Release(model=model, champion=champion, revision=revision, **known)


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics()


@pytest.fixture
def log(topics: MemoryTopics) -> ReleaseLog:
    return ReleaseLog(topics.reader, topics.publisher)


def announce(topics: MemoryTopics, state: Release) -> None:
    topics.append(RELEASES_TOPIC, state.encode(), state.model.encode())


def heard(topics: MemoryTopics) -> list[str]:
    """The champions that a follower tells, one word a look."""
    champions: list[str] = []
    follower = ReleaseFollower(topics.reader, lambda state: champions.append(state.champion))
    follower._follow(topics.reader())
    return champions


def test_of_equal_revisions_the_later_record_counts(topics: MemoryTopics, log: ReleaseLog) -> None:
    """D-B2: two workers announced revision 1; one followed the first record, the other the second, for ever."""
    announce(topics, release("1"))
    announce(topics, release("2"))
    assert heard(topics) == ["2"]
    standing = log.standing("support")
    assert standing is not None and standing.release.champion == "2"


def test_a_topic_that_was_made_again_counts_though_its_revisions_begin_anew(topics: MemoryTopics) -> None:
    """S-A16: a running follower knew revision 7 and ignored everything up to that number."""
    champions: list[str] = []
    follower = ReleaseFollower(topics.reader, lambda state: champions.append(state.champion))
    announce(topics, release("7", revision=7))
    follower._follow(topics.reader())
    topics.records.clear()
    announce(topics, release("1", revision=1))
    follower._follow(topics.reader())
    assert champions == ["7", "1"]


def test_what_was_heard_is_not_told_again_when_the_reader_begins_anew(topics: MemoryTopics) -> None:
    champions: list[str] = []
    follower = ReleaseFollower(topics.reader, lambda state: champions.append(state.champion))
    for champion in ("1", "2"):
        announce(topics, release(champion))
    for _ in range(2):
        follower._follow(topics.reader())
    assert champions == ["2"]


@pytest.mark.parametrize(
    ("value", "key"),
    [(b"{", b"support"), (b'{"model": "support"}', b"support"), (release("9", model="finance").encode(), b"support")],
    ids=["no JSON", "fields missing", "another model's"],
)
def test_a_record_that_is_no_release_changes_nothing(
    topics: MemoryTopics, log: ReleaseLog, value: bytes, key: bytes
) -> None:
    announce(topics, release("1"))
    topics.append(RELEASES_TOPIC, value, key)
    assert heard(topics) == ["1"]
    standing = log.standing("support")
    assert standing is not None and standing.release.champion == "1"
    assert log.standing("finance") is None


def test_a_tombstone_forgets_its_model(topics: MemoryTopics, log: ReleaseLog) -> None:
    announce(topics, release("1"))
    topics.append(RELEASES_TOPIC, None, b"support")
    assert log.standing("support") is None


def test_a_follower_that_cannot_read_says_for_how_long() -> None:
    """S-A2: a follower that failed for ever only warned; neither health nor a metric told."""
    now = [10.0]
    topics = MemoryTopics()
    follower = ReleaseFollower(topics.reader, clock=lambda: now[0])
    follower._note_failure("no rights on model.releases")
    now[0] += 50
    follower._note_failure("no rights on model.releases")
    assert follower.trouble() == (50.0, "no rights on model.releases")
    follower._follow(topics.reader())
    assert follower.trouble() is None


def test_a_listener_that_fails_is_told_the_same_state_again(topics: MemoryTopics) -> None:
    champions: list[str] = []

    def listen(state: Release) -> None:
        champions.append(state.champion)
        if len(champions) == 1:
            raise RuntimeError("a fault")

    follower = ReleaseFollower(topics.reader, listen)
    announce(topics, release("1"))
    with pytest.raises(RuntimeError):
        follower._follow(topics.reader())
    follower._follow(topics.reader())
    assert champions == ["1", "1"]


def test_what_a_person_says_counts_whatever_stands(topics: MemoryTopics, log: ReleaseLog) -> None:
    announce(topics, release("1", revision=4))
    announced = log.announce("support", lambda now: release("2", revision=(now.revision if now else 0) + 1))
    assert (announced.release.champion, announced.release.revision) == ("2", 5)


def test_an_announcement_that_expected_something_else_is_not_made(topics: MemoryTopics, log: ReleaseLog) -> None:
    """S-A9: after hours of training a release was promoted over whatever was promoted meanwhile by hand."""
    announce(topics, release("1"))
    expected = log.standing("support")
    announce(topics, release("5"))
    announced = log.announce_if("support", expected, lambda _: release("2"))
    assert announced.release.champion == "5"
    assert len(topics.records[RELEASES_TOPIC]) == 2


def test_of_two_who_announce_at_once_the_first_word_stands(topics: MemoryTopics, log: ReleaseLog) -> None:
    """S-A9: revision was read and then written, so two retrainers could both have announced revision 8."""
    announce(topics, release("1"))
    expected = log.standing("support")

    def another_comes_between() -> None:
        topics.before_write = lambda: None
        announce(topics, release("5", revision=2))

    topics.before_write = another_comes_between
    announced = log.announce_if("support", expected, lambda _: release("2", revision=2))
    assert announced.release.champion == "5"
    assert heard(topics) == ["5"]


def test_three_starts_at_once_end_with_the_same_word(topics: MemoryTopics, log: ReleaseLog) -> None:
    """D-B2: two workers on an empty registry announced two releases and served different ones for ever."""
    words: list[Announced] = []

    def second_start() -> None:
        topics.before_write = third_start
        words.append(log.announce_if("support", None, lambda _: release("2")))

    def third_start() -> None:
        topics.before_write = lambda: None
        words.append(log.announce_if("support", None, lambda _: release("3")))

    topics.before_write = second_start
    words.append(log.announce_if("support", None, lambda _: release("1")))
    assert {word.release.champion for word in words} == {"3"}, "the first record that stood in the topic"
    assert heard(topics) == ["3"]


def test_the_word_of_a_person_in_the_middle_of_a_race_is_not_taken_back(topics: MemoryTopics, log: ReleaseLog) -> None:
    writes = [0]

    def others() -> None:
        writes[0] += 1
        if writes[0] == 1:
            announce(topics, release("2"))
        if writes[0] == 2:  # the first one's word is about to be said once more
            announce(topics, release("9", revision=7))

    topics.before_write = others
    assert log.announce_if("support", None, lambda _: release("1")).release.champion == "9"
    assert writes[0] > 2 and heard(topics) == ["9"]


@pytest.mark.parametrize("kept", ["all", "compacted", "the end is not compacted yet"])
def test_a_word_about_another_state_than_stands_counts_for_nothing_even_where_its_writer_died(
    topics: MemoryTopics, log: ReleaseLog, kept: str
) -> None:
    """What was written by somebody who was held up between his look and his word."""
    announce(topics, release("1"))
    stale = expecting(log.standing("support"))
    announce(topics, release("2", revision=2))
    held_up = release("3", revision=2, by="held up")
    topics.append(RELEASES_TOPIC, held_up.encode(), b"support", stale)
    assert heard(topics) == ["2"]
    expected = log.standing("support")
    announced = log.announce_if("support", expected, lambda _: release("4", revision=3))
    assert announced.release.champion == "4"
    records = topics.records[RELEASES_TOPIC]
    topics.records[RELEASES_TOPIC] = {"all": records, "compacted": records[-1:]}.get(kept, records[-2:])
    assert heard(topics) == ["4"]


def test_who_lost_says_once_more_what_stands_so_that_compaction_keeps_it(topics: MemoryTopics, log: ReleaseLog) -> None:
    announce(topics, release("1"))
    expected = log.standing("support")

    def another_comes_between() -> None:
        topics.before_write = lambda: None
        announce(topics, release("5", revision=2))

    topics.before_write = another_comes_between
    log.announce_if("support", expected, lambda _: release("2", revision=2, by="late"))
    for left in (1, 2, 3, 4):
        kept = MemoryTopics()
        kept.records[RELEASES_TOPIC] = topics.records[RELEASES_TOPIC][-left:]
        assert heard(kept) == ["5"], left


def lost_at_the_end(topics: MemoryTopics, log: ReleaseLog) -> None:
    """S0, then two who both expected it; the second one died before he could say what stands."""
    announce(topics, release("1"))
    stale = expecting(log.standing("support"))
    announce(topics, release("2", revision=2))
    topics.append(RELEASES_TOPIC, release("3", revision=2, by="held up").encode(), b"support", stale)


def unreadable_at_the_end(topics: MemoryTopics, log: ReleaseLog) -> None:
    announce(topics, release("2", revision=2))
    topics.append(RELEASES_TOPIC, b"{", b"support")


def assert_compaction_keeps(topics: MemoryTopics, champion: str) -> None:
    for left in range(1, 4):
        kept = MemoryTopics()
        kept.records[RELEASES_TOPIC] = topics.records[RELEASES_TOPIC][-left:]
        assert heard(kept) == [champion], left


@pytest.mark.parametrize("write", [lost_at_the_end, unreadable_at_the_end])
def test_who_follows_says_what_stands_where_the_last_record_counts_for_nothing_and_its_writer_is_gone(
    topics: MemoryTopics, log: ReleaseLog, write: Callable[[MemoryTopics, ReleaseLog], None]
) -> None:
    """Compaction kept the last record: a step that had lost became what stands."""
    write(topics, log)
    now, written = [0.0], len(topics.records[RELEASES_TOPIC])
    follower = ReleaseFollower(topics.reader, clock=lambda: now[0], settle=log.settle)
    follower._follow(topics.reader())
    assert len(topics.records[RELEASES_TOPIC]) == written, "its writer may be about to"
    for _ in range(3):
        now[0] += SETTLE_SECONDS[1]
        follower._follow(topics.reader())
    assert len(topics.records[RELEASES_TOPIC]) == written + 1
    assert_compaction_keeps(topics, "2")


def test_a_follower_that_may_not_write_follows_on(topics: MemoryTopics, log: ReleaseLog) -> None:
    def refuse(model: str) -> None:
        raise BrokerUnavailable("not authorized")

    lost_at_the_end(topics, log)
    now = [0.0]
    follower = ReleaseFollower(topics.reader, clock=lambda: now[0], settle=refuse)
    for _ in range(3):
        follower._follow(topics.reader())
        now[0] += SETTLE_SECONDS[1]
    assert follower.known["support"].champion == "2"


def test_what_stands_and_was_said_again_while_another_one_announced_is_said_again_in_turn(
    topics: MemoryTopics, log: ReleaseLog
) -> None:
    def another_comes_between() -> None:
        topics.before_write = lambda: None
        log.announce_if("support", log.standing("support"), lambda _: release("4", revision=3))

    lost_at_the_end(topics, log)
    topics.before_write = another_comes_between
    log.settle("support")
    log.settle("support")
    assert_compaction_keeps(topics, "4")


def test_who_does_not_announce_as_another_state_stands_says_that_one_again_too(
    topics: MemoryTopics, log: ReleaseLog
) -> None:
    expected = Announced(release("1"), 0)
    lost_at_the_end(topics, log)
    assert log.announce_if("support", expected, lambda _: release("7")).release.champion == "2"
    assert_compaction_keeps(topics, "2")


@pytest.fixture
def registry() -> FolderRegistry:
    return FolderRegistry("memory://release-log")


def publish(registry: FolderRegistry, note: str) -> tuple[str, str]:
    version = registry.publish("support", {"format": 1, "files": {}, "note": note}, {})
    return version, hashlib.sha256(registry.manifest("support", version)).hexdigest()


def test_a_release_carries_the_hashes_announced_before_and_what_a_rollback_goes_back_to(
    registry: FolderRegistry,
) -> None:
    (one, first), (two, second) = publish(registry, "one"), publish(registry, "two")
    state = next_release(registry, "support", one, None, by="start")
    state = next_release(registry, "support", two, state, by="retrainer", request="r-7")
    assert (state.previous, state.revision, state.request) == (one, 2, "r-7")
    assert state.manifest_sha256 == {one: first, two: second}
    again = next_release(registry, "support", two, state, by="promote")
    assert (again.previous, again.request) == (one, None)


def test_a_version_whose_manifest_is_another_one_than_announced_is_not_announced_again(
    registry: FolderRegistry,
) -> None:
    """D-A3: promote and rollback took an altered manifest as it was."""
    version, _ = publish(registry, "one")
    standing = release("8", manifest={}).model_copy(update={"manifest_sha256": {version: "0" * 64}})
    with pytest.raises(ReleaseCorrupt, match=r"not the one that was announced.*--accept-altered"):
        next_release(registry, "support", version, standing, by="rollback")
    accepted = next_release(registry, "support", version, standing, by="promote", accept_altered=True)
    assert accepted.manifest_sha256[version] == hashlib.sha256(registry.manifest("support", version)).hexdigest()


def test_a_release_of_before_is_read(topics: MemoryTopics) -> None:
    """A record as d23f76a wrote it, without `request` and with the champion's hash only."""
    value = {
        "model": "support",
        "champion": "2",
        "previous": "1",
        "revision": 2,
        "manifest_sha256": {"2": "ab" * 32},
        "by": "retrainer",
        "at": "2026-10-01T08:00:00.000Z",
    }
    topics.append(RELEASES_TOPIC, json.dumps(value).encode(), b"support")
    assert heard(topics) == ["2"]


def test_since_when_a_champion_serves_does_not_change_when_the_topic_is_compacted(
    topics: MemoryTopics, log: ReleaseLog
) -> None:
    """Labels since then counted as those since the last step: after compaction a canary's beginning took them away."""

    def at(hour: int, champion: str, **fields: Any) -> None:
        log.announce("support", lambda now: release(champion, **fields).model_copy(update={"at": f"T{hour}"}))

    for hour, champion, shadow in ((1, "1", None), (2, "2", None), (3, "2", "3"), (4, "2", None)):
        at(hour, champion, shadow=shadow)
        words = [Release.model_validate_json(record.value or b"") for record in topics.records[RELEASES_TOPIC]]
        assert champion_since(words) == champion_since(words[-1:]) == f"T{min(hour, 2)}"
    standing = log.standing("support")
    log.announce_if("support", standing, lambda now: (now or release("2")).model_copy(update={"at": "T5"}))
    after = log.standing("support")
    assert after is not None and (after.release.champion_since, after.release.at) == ("T2", "T5")


def test_since_when_a_champion_serves_is_told_of_releases_written_before_that_was_noted(
    topics: MemoryTopics, log: ReleaseLog
) -> None:
    old = [release("1").model_copy(update={"at": "T1"}), release("2", 2).model_copy(update={"at": "T2"})]
    old.append(release("2", 3, shadow="3").model_copy(update={"at": "T3"}))
    assert (champion_since(old), champion_since(old[:1]), champion_since(old[-1:])) == ("T2", "T1", "T3")
    announce(topics, old[-1])  # all that compaction left: its own time is the nearest that is known, and stays so
    announced = log.announce("support", lambda now: (now or release("2")).model_copy(update={"at": "T4"}))
    assert announced.release.champion_since == "T3" and champion_since([*old, announced.release]) == "T2"
