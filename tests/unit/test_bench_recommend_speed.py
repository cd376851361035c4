"""How fast lists are under load: what is counted, and what the command tells."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from bench.recommendation.speed import Clock, Plan, open_loop, speed
from headrace.cli import app
from models.errors import ConfigError
from streams.classify.worker import LISTS_AT_ONCE

SMALL = {"warm_up": 0.5, "rate": 100.0, "users": 200, "events_each": 3, "items": 40, "cold_every": 0.5}


class Hands:
    """A clock that moves when somebody sleeps or works."""

    def __init__(self) -> None:
        self.at = 7.0
        self.clock = Clock(lambda: self.at, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.stack([np.random.default_rng(sum(text.encode())).standard_normal(16) for text in texts]).astype(
        np.float32
    )


def test_an_event_waits_from_when_it_is_due_however_busy_the_worker_is() -> None:
    hands, batches = Hands(), list[tuple[int, int]]()

    def decide(first: int, last: int) -> None:
        batches.append((first, last))
        hands.sleep(3.0 if first == 0 else 0.5 * (last - first))

    done = open_loop(decide, np.arange(6, dtype=float), hands.clock, lambda done: None)
    assert batches == [(0, 1), (1, 4), (4, 5), (5, 6)]
    assert done.tolist() == [3.0, 4.5, 4.5, 4.5, 5.0, 5.5]


def test_no_more_are_taken_at_once_than_by_a_worker() -> None:
    hands, batches = Hands(), list[int]()
    open_loop(lambda first, last: batches.append(last - first), np.zeros(150), hands.clock, lambda done: None)
    assert batches == [LISTS_AT_ONCE, LISTS_AT_ONCE, 150 - 2 * LISTS_AT_ONCE]


def test_every_event_of_the_load_has_its_list_and_every_new_item_a_chance() -> None:
    hands = Hands()
    found = speed(Plan(2.0, **SMALL), embed, 0, lambda *_: None, hands.clock)
    load = found["load"]
    assert (load["events"], load["lists"], load["dead_letters"]) == (200, 200, 0)
    assert load["latency_ms"] == load["latency_of_all_ms"]
    assert load["latency_ms"]["max"] <= 0.02  # where deciding takes no time
    assert found["cold"]["items"] == 5 and found["cold"]["ms"]["max"] <= 1000 / SMALL["rate"] + 1e-6
    assert found["memory"]["users"] == [40, 80, 120, 160, 200]
    assert found["rebuild"]["events"] == 200 and 50 < found["rebuild"]["users"] < 200


def test_items_that_come_all_at_once_are_told_with_what_lists_wait_meanwhile() -> None:
    found = speed(Plan(20.0, **SMALL, bulk=600), embed, 0, lambda *_: None, Hands().clock)["bulk"]
    assert found["items"] == 600 and (found["seconds"] is None or 0 <= found["seconds"] < 20)  # of a clock of its own
    assert 0 < found["lists"] <= 2_000 and found["latency_ms"]["p50"] <= found["latency_ms"]["max"]


def test_a_share_of_the_events_asks_for_lists_and_all_are_learnt_of() -> None:
    hands = Hands()
    found = speed(Plan(20.0, **SMALL, lists_share=0.2), embed, 0, lambda *_: None, hands.clock)
    again = speed(Plan(20.0, **SMALL, lists_share=0.2), embed, 0, lambda *_: None, Hands().clock)
    load = found["load"]
    assert load["events"] == 2_000 and 330 < load["lists"] < 470  # 400 on average, 18 its standard deviation
    assert 0.165 < load["lists_per_second"] / SMALL["rate"] < 0.235
    assert (load["dead_letters"], load["lists_share"]) == (0, 0.2) and load["taken"] > 300
    assert again["load"] | {"state_bytes": 0} == load | {"state_bytes": 0}  # packed when a thread was given its turn


@pytest.mark.parametrize("share", [0.0, 0.61, 0.99])
def test_more_lists_than_looks_or_none_are_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="share of lists"):
        speed(Plan(1.0, **SMALL, lists_share=share), embed, 0, lambda *_: None, Hands().clock)


def test_the_command_tells_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.commands.bench.recommend._SPEED", SMALL)
    monkeypatch.setattr("headrace.releases.encoders.default_encoder", lambda wiring: Encoder())
    run = CliRunner().invoke(app, ["bench", "recommend", "--speed", "1", "--json"])
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert (
        report["load"]["lists"] == 100
        and 0 < report["load"]["latency_ms"]["p50"] <= report["load"]["latency_ms"]["p99"]
    )
    told = CliRunner().invoke(app, ["bench", "recommend", "--speed", "1"])
    assert told.exit_code == 0, told.output
    for words in (
        "100 events a second, 100 lists of 40 items",
        "ms from when an event is due, all: ",
        "new items, ms until",
        "GB a million",
        "rebuilt of 200 events",
    ):
        assert words in told.output
    assert "with a list" not in told.output
    some = CliRunner().invoke(app, ["bench", "recommend", "--speed", "1", "--lists-share", "0.5"])
    assert some.exit_code == 0 and "ms from when an event is due, with a list: " in some.output, some.output
    none = CliRunner().invoke(app, ["bench", "recommend", "--speed", "1", "--lists-share", "0.7"])
    assert none.exit_code != 0


class Encoder:
    """What reads items."""

    embed = staticmethod(embed)
