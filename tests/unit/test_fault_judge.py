"""The verdict over a campaign on hand-made ledgers, each with one defect."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.faults.campaign import Plan
from bench.faults.judge import Least, Verdict, judge
from bench.faults.ledger import (
    Agreed,
    Alerted,
    Committed,
    Decided,
    Entry,
    FaultDone,
    Ledger,
    Left,
    MonitorState,
    Retrained,
    Sent,
    Source,
    Worked,
)
from bench.faults.rows import ROWS
from bench.faults.scene.traffic import source_of
from bench.faults.waiting import TimedOut, wait_until, wait_while_moving

ENDS = {0: 4, 1: 3}
EVENTS: list[Source] = [(p, offset) for p, end in ENDS.items() for offset in range(end)]
LEAST = Least(events=7, faults=2, kinds=frozenset({"worker killed", "worker added"}))


def key(source: Source) -> str:
    return f"customer-{source[0]}"


def fault(name: str, number: int, injected: float, ended: float, **changes: object) -> FaultDone:
    values: dict[str, object] = {"seen": True, "guarantee": "at least once", "recovery": 2.0}
    return FaultDone(name, number, injected, ended, **(values | changes))  # type: ignore[arg-type]


def faultless() -> list[Entry]:
    """Seven events, sent, decided in order, committed; two faults; two workers that work."""
    entries: list[Entry] = []
    for number, source in enumerate(EVENTS):
        entries += [Sent(source, key(source), float(number)), Decided(source, key(source), "1", number + 0.5)]
        entries.append(Committed(source[0], source[1] + 1, number + 0.6))
    entries.append(fault("worker killed", 1, 0.2, 2.0, kill=True, limit=15.0))
    entries.append(fault("worker added", 2, 3.0, 5.0, guarantee="once"))
    return [*entries, Worked("worker-1", 1, 3, 9.0), Worked("worker-2", 1, 4, 9.0)]


def verdict(
    entries: Sequence[Entry], ids: Sequence[Source] = EVENTS, ends: dict[int, int] = ENDS, least: Least = LEAST
) -> Verdict:
    return judge(entries, ids, ends, seed=5, least=least)


def test_a_faultless_campaign_passes_with_the_promised_figures() -> None:
    judged = verdict(faultless())
    assert judged.passed, judged.breaches
    report = judged.as_json()
    promised = {
        "seed": 5,
        "kills": 1,
        "outages": 0,
        "events": 7,
        "lost": 0,
        "duplicated": 0,
        "out_of_order": 0,
        "repeats_in_decisions": 0,
        "idle_workers": 0,
        "longest_gap_seconds": 1.0,
    }
    assert {name: report[name] for name in promised} == promised
    assert [row["fault"] for row in report["per_fault"]] == ["worker killed", "worker added"]


def without(*kinds: Callable[[Entry], bool]) -> list[Entry]:
    return [entry for entry in faultless() if not any(kind(entry) for kind in kinds)]


def test_an_event_without_a_document_is_lost() -> None:
    judged = verdict(faultless(), [entry for entry in EVENTS if entry != (1, 2)])
    assert judged.figures["lost"] == 1
    assert judged.breaches == ("lost: no document in the store for 1: 1-2",)


def test_a_confirmed_event_that_is_not_even_in_the_log_is_lost() -> None:
    judged = verdict([*faultless(), Sent((1, 3), "customer-1", 8.0)])
    assert judged.figures["lost"] == 1


def test_an_event_of_the_log_counts_though_its_confirmation_was_never_heard() -> None:
    entries = without(lambda entry: isinstance(entry, Sent) and entry.source == (0, 3))
    assert verdict(entries).passed
    assert verdict(entries, [entry for entry in EVENTS if entry != (0, 3)]).figures["lost"] == 1


def test_two_documents_of_one_event_are_doubled() -> None:
    judged = verdict(faultless(), [*EVENTS, (0, 1)])
    assert judged.figures["duplicated"] == 1
    assert judged.breaches == ("doubled: more than one document for 1: 0-1",)


def test_a_document_of_an_event_that_never_was_is_told() -> None:
    assert verdict(faultless(), [*EVENTS, (-1, -1)]).breaches == (
        "documents for events that are not in the log: 1: -1--1",
    )


def test_an_event_that_is_indexed_without_a_decision_in_the_topic_is_told() -> None:
    entries = without(
        lambda entry: isinstance(entry, Decided) and entry.source == (1, 2), lambda entry: isinstance(entry, Committed)
    )
    assert verdict(entries).breaches == ("no decision in the topic for 1: 1-2",)


def test_first_decisions_of_a_key_in_another_order_than_the_source_are_out_of_order() -> None:
    order = [(0, 0), (0, 2), (0, 1), (0, 3), (1, 0), (1, 1), (1, 2)]
    entries: list[Entry] = without(lambda entry: isinstance(entry, Decided | Committed))
    entries += [Decided(source, key(source), "1", 10.0 + n) for n, source in enumerate(order)]
    judged = verdict(entries)
    assert judged.figures["out_of_order"] == 1
    assert judged.breaches == ("out of order within their key: 1: 0-1",)


def test_other_keys_may_overtake_and_late_repeats_are_no_disorder() -> None:
    entries: list[Entry] = without(lambda entry: isinstance(entry, Decided | Committed))
    order = [(1, 0), (0, 0), (1, 1), (1, 2), (0, 1), (0, 2), (0, 3), (0, 1)]
    entries += [Decided(source, key(source), "1", 10.0 + n) for n, source in enumerate(order)]
    judged = verdict(entries)
    assert judged.passed, judged.breaches
    assert judged.figures["repeats_in_decisions"] == 1


def test_a_repeat_after_a_kill_is_counted_and_allowed() -> None:
    judged = verdict([*faultless(), Decided((0, 1), "customer-0", "1", 1.5)])
    assert judged.passed
    assert [row["repeats"] for row in judged.faults] == [1, 0]


def test_a_repeat_where_nothing_was_broken_off_is_a_breach() -> None:
    judged = verdict([*faultless(), Decided((0, 1), "customer-0", "1", 4.0)])
    assert judged.breaches == ("worker added (fault 2): 1 decisions repeated, though nothing was broken off",)


def test_a_repeat_is_no_breach_where_a_process_left_by_itself_meanwhile() -> None:
    judged = verdict([*faultless(), Decided((0, 1), "customer-0", "1", 4.0), Left("worker-1", 1, "stuck", 3.5)])
    assert judged.passed
    assert judged.figures["left_by_themselves"] == 1


def test_a_commit_before_its_decision_is_a_breach_even_if_the_decision_comes_later() -> None:
    entries = faultless()
    at = next(n for n, entry in enumerate(entries) if isinstance(entry, Decided) and entry.source == (0, 2))
    judged = verdict([*entries[:at], Committed(0, 3, 2.4), *entries[at:]])
    assert judged.breaches == ("committed before its decision was written: 1: 0-2",)


def test_a_worker_that_lives_and_does_nothing_is_idle() -> None:
    entries = [
        *without(lambda entry: isinstance(entry, Worked)),
        Worked("worker-1", 2, 7, 9.0),
        Worked("worker-2", 0, 0, 9.0),
    ]
    judged = verdict(entries)
    assert judged.figures["idle_workers"] == 1
    assert judged.breaches == ("alive and idle at the end: 1: worker-2",)


@pytest.mark.parametrize(("recovery", "words"), [(15.2, "after 15.2 s"), (None, "never")], ids=["too late", "never"])
def test_decisions_that_do_not_come_back_in_time_after_a_kill_are_a_breach(recovery: float | None, words: str) -> None:
    entries = without(lambda entry: isinstance(entry, FaultDone) and entry.kill)
    judged = verdict([*entries, fault("worker killed", 1, 0.2, 2.0, kill=True, limit=15.0, recovery=recovery)])
    assert judged.breaches == (f"worker killed (fault 1): new decisions {words}, promised within 15 s",)


@pytest.mark.parametrize(
    ("seconds", "breaches"), [(0.0, 0), (10.0, 0), (10.1, 1), (None, 1)], ids=["at once", "just", "late", "never"]
)
def test_workers_that_serve_different_releases_for_too_long_are_a_breach(seconds: float | None, breaches: int) -> None:
    """D-B2: two workers served different releases for ever, and no campaign looked."""
    judged = verdict([*faultless(), Agreed("2", seconds, "release rolled back; {'worker-1': '1'}", 8.0)])
    assert len(judged.breaches) == breaches
    assert all("all workers served release 2" in breach and "worker-1" in breach for breach in judged.breaches)
    assert judged.figures["longest_disagreement_seconds"] == (seconds or 0.0)


@pytest.mark.parametrize(
    ("versions", "announcements", "passes"), [(1, 1, True), (2, 1, False), (1, 2, False), (0, 0, False), (2, 2, False)]
)
def test_a_request_must_lead_to_one_retraining_and_one_announcement(
    versions: int, announcements: int, passes: bool
) -> None:
    judged = verdict([*faultless(), Retrained("r-1", versions, announcements, 8.0)])
    assert judged.passed is passes
    assert judged.figures["retrainings"] == 1


def test_too_little_traffic_fails() -> None:
    judged = verdict(faultless(), least=Least(events=8, faults=2))
    assert judged.breaches == ("too little traffic: 7 events, at least 8 are needed",)


def test_an_empty_campaign_fails() -> None:
    judged = judge([], [], {}, seed=0, least=Least())
    assert not judged.passed


def test_a_fault_that_nobody_saw_does_not_count() -> None:
    entries = without(lambda entry: isinstance(entry, FaultDone) and entry.kill)
    judged = verdict([*entries, fault("worker killed", 1, 0.2, 2.0, kill=True, seen=False)])
    assert judged.breaches == ("too few faults were seen: 1, at least 2 are needed", "never seen: worker killed")
    assert (judged.figures["kills"], judged.figures["faults_not_seen"]) == (0, 1)


def test_the_longest_gap_is_between_two_new_decisions() -> None:
    entries = [
        *faultless(),
        Sent((1, 3), "customer-1", 20.0),
        Decided((0, 1), "customer-0", "1", 12.0),
        Decided((1, 3), "customer-1", "1", 20.5),
    ]
    assert verdict(entries, [*EVENTS, (1, 3)], {0: 4, 1: 4}).figures["longest_gap_seconds"] == 14.0


def test_a_campaign_has_every_fault_before_any_comes_again_and_its_seed_decides_the_order() -> None:
    assert set(Plan(len(ROWS), 1).order()) == set(ROWS)
    assert Plan(60, 7).order() == Plan(60, 7).order() != Plan(60, 8).order()
    assert all(Plan(60, 7).order().count(row) >= 60 // len(ROWS) for row in ROWS)
    assert Plan(60, 7).least.kinds == {row.name for row in ROWS}


def test_ids_of_another_topic_of_the_same_name_are_not_taken_for_events() -> None:
    assert source_of("faults.events@1234abcd-3-17", "1234abcd") == (3, 17)
    assert source_of("faults.events@00000000-3-17", "1234abcd") == (-1, -1)


def test_a_ledger_keeps_its_entries_in_order_and_writes_them_down(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    entries: list[Entry] = [Sent((0, 0), "a", 1.0), Left("worker-1", 1, "stuck", 2.0)]
    for entry in entries:
        ledger.append(entry)
    ledger.close()
    assert list(ledger.entries()) == entries
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 2


def test_a_wait_ends_with_the_state_at_its_end_and_passes_errors_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("bench.faults.waiting.time.monotonic", lambda: now[0])
    monkeypatch.setattr("bench.faults.waiting.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    assert wait_until(lambda: now[0] >= 1.0 and "there", 2.0, lambda: "") == "there"
    with pytest.raises(TimedOut, match=r"not within 3 s: it is 4\.\d"):
        wait_until(lambda: None, 3.0, lambda: f"it is {now[0]:.1f}")
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, 3.0, lambda: "")


def test_what_moves_is_waited_for_and_what_stands_still_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("bench.faults.waiting.time.monotonic", lambda: now[0])
    monkeypatch.setattr("bench.faults.waiting.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    wait_while_moving(lambda: now[0] >= 100.0, lambda: now[0] // 2, 3.0, lambda: "", poll_seconds=0.5)
    with pytest.raises(TimedOut, match=r"nothing moved for 3 s: it is 11[34]"):
        wait_while_moving(
            lambda: False, lambda: min(now[0], 110.0), 3.0, lambda: f"it is {now[0]:.0f}", poll_seconds=0.5
        )


ALERT, OTHER = "0a1b2c3d4e5f6071", "1b2c3d4e5f607182"


def told(*states: str, rule: str = "drift", name: str = ALERT) -> list[Entry]:
    return [Alerted(name, rule, state, 9.0) for state in states]


def test_alerts_that_end_or_truly_fire_and_an_equal_state_pass() -> None:
    ends = [MonitorState((), (OTHER,), 40, 9.0), *told("firing", "resolved", "firing", "resolved")]
    entries = [*faultless(), *ends, *told("firing", name=OTHER)]
    entries += told("firing", "firing", "resolved", rule="release_refused", name="release_refused")
    judged = verdict(entries)
    assert judged.passed, judged.breaches
    assert (judged.figures["alerts"], judged.figures["signals"]) == (8, 40)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([MonitorState((), (), 1, 9.0), *told("firing")], "fire though nothing is there"),
        ([MonitorState((), (), 1, 9.0), *told("firing", rule="release_refused")], "fire though nothing is there"),
        ([MonitorState((), (ALERT,), 1, 9.0)], "should fire and do not"),
        ([MonitorState((), (ALERT,), 1, 9.0), *told("firing", "firing")], "told twice"),
        ([MonitorState((), (), 1, 9.0), *told("firing", "resolved", "resolved")], "told twice"),
        ([MonitorState(("releases",), (), 1, 9.0)], "not that of one that never stopped: 1: releases"),
    ],
    ids=["left firing", "refusal left firing", "missing", "fired twice", "resolved twice", "state differs"],
)
def test_what_monitors_get_wrong_is_a_breach(entries: list[Entry], words: str) -> None:
    judged = verdict([*faultless(), *entries])
    assert not judged.passed and any(words in breach for breach in judged.breaches), judged.breaches
