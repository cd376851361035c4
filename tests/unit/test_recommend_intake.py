"""A catalogue's topic that says much at once: lists go on while its items are read."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from connectors.ports import Record
from models.recommendation import live_covisitation
from models.recommendation.catalogue import Catalogue
from models.recommendation.covisitation import CovisitationPolicy
from models.recommendation.live_covisitation import LiveCovisitation
from models.recommendation.recommender import Recommender
from streams.application import Application
from streams.engine.delivery import Delivery
from streams.recommend.handler import HEARD_AT_ONCE, RecommendHandler
from streams.recommend.intake import AT_ONCE

ITEMS = [f"i{number}" for number in range(20)]
BULK = 4 * HEARD_AT_ONCE + 100
MINUTE = 60.0
ROOT = Path(__file__).parents[2]


class Reading:
    """An encoder. texts: that it read, and whether that was beside the events; gate: what a thread of its own waits
    for."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, bool]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fails_on: str | None = None

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        is_beside = threading.current_thread() is not threading.main_thread()
        if is_beside:
            assert self.gate.wait(MINUTE)
        if self.fails_on and any(text.endswith(f" {self.fails_on}") for text in texts):
            raise RuntimeError("no memory")
        self.texts += [(text, is_beside) for text in texts]
        return np.ones((len(texts), 20), np.float32)


class Shop:
    """A worker that follows a catalogue; what is said goes into `heard`."""

    def __init__(self) -> None:
        self.heard: list[Record] = []
        self.reading = Reading()
        app = Application(name="r", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
        self.handler = RecommendHandler(
            app,
            Recommender(ITEMS, np.eye(20, dtype=np.float32), texts=ITEMS),
            "v1",
            {"user.events": "e0"},
            catalogue=self._take,
            embed=self.reading,
        )
        self.number = 0

    def _take(self) -> list[Record]:
        taken, self.heard = self.heard, []
        return taken

    def say(self, items: Sequence[str], title: str | None = "a thing") -> None:
        for name in items:
            value = None if title is None else orjson.dumps({"item_id": name, "title": f"{title} {name}"})
            self.heard.append(Record("catalog.items", 0, 0, name.encode(), value, 0))

    def event(self) -> list[str]:
        """The list that it is answered with."""
        self.number += 1
        value = orjson.dumps({"user_id": "u", "item_id": "i1", "action": "view"})
        batch = [Delivery("user.events", 0, self.number, None, value, 0)]
        for _, step in self.handler.steps:
            step(batch)
        return [item["item_id"] for item in orjson.loads(batch[0].result.records[0].value)["items"]]

    def until(self, reached: Callable[[], bool]) -> None:
        """Events, as long as that takes."""
        stop = threading.Event()
        timer = threading.Timer(MINUTE, stop.set)
        timer.start()
        while not reached():
            assert not stop.is_set()
            self.event()
        timer.cancel()

    def shown(self) -> dict[str, str]:
        catalogue = self.handler.recommender.catalogue
        rows = zip(catalogue.ids, catalogue.texts, catalogue.shown.tolist(), strict=True)
        return {name: text for name, text, is_shown in rows if is_shown}


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    made.event()
    yield made
    made.reading.gate.set()


def test_lists_go_on_while_a_bulk_is_read_and_what_is_withdrawn_meanwhile_stays_away(shop: Shop) -> None:
    bulk = [f"b{number}" for number in range(BULK)]
    shop.reading.gate.clear()
    shop.say(bulk)
    for _ in range(BULK // HEARD_AT_ONCE + 2):
        assert shop.event()
    assert not set(bulk) & shop.shown().keys()
    shop.say(["i3", "b5"], None)
    shop.say(["b6"], "another thing")
    assert "i3" not in shop.event() and "i3" not in shop.shown()
    assert shop.shown()["b6"] == "another thing b6", "one that is said alone does not wait for the others"
    shop.reading.gate.set()
    shop.until(lambda: len(shop.shown()) == 19 + BULK - 1)
    assert "b5" not in shop.shown() and shop.shown()["b6"] == "another thing b6"
    read = [text for text, _ in shop.reading.texts]
    assert len(set(read)) == len(read)


def test_what_the_end_of_a_bulk_withdraws_is_in_no_list_from_then_on(shop: Shop) -> None:
    bulk = [f"b{number}" for number in range(BULK)]
    shop.say(bulk)
    shop.until(lambda: len(shop.shown()) == 20 + BULK)
    shop.reading.gate.clear()
    shop.say(["b1"], "on its way")  # before all that follows
    shop.say(["i3", "b2"], "another thing")
    shop.say(bulk[10:])
    shop.say(["i3", "b1", "b7"], None)
    withdrawn = orjson.dumps({"item_id": "i4", "withdrawn": True})
    shop.heard.append(Record("catalog.items", 0, 0, b"row-9", withdrawn, 0))
    gone = {"i3", "b1", "b7", "i4"}
    for _ in range(BULK // HEARD_AT_ONCE + 2):
        assert not gone & {*shop.event()} and not gone & shop.shown().keys()
    shop.say(["b7"], "back again")
    shop.reading.gate.set()
    shop.until(lambda: shop.shown().get("b7") == "back again b7" and shop.shown()["b2"] == "another thing b2")
    assert gone & shop.shown().keys() == {"b7"}


def test_what_comes_back_within_a_bulk_is_shown_again(shop: Shop) -> None:
    shop.say(["i3"], None)
    shop.say([f"b{number}" for number in range(BULK)])
    shop.say(["i3"], None)
    shop.say(["i3"], "back")
    assert "i3" not in shop.event()
    shop.until(lambda: shop.shown().get("i3") == "back i3")


def test_the_first_time_all_that_stands_there_is_taken_before_an_event_is_decided() -> None:
    shop = Shop()
    shop.say([f"b{number}" for number in range(BULK)])
    shop.event()
    assert len(shop.shown()) == 20 + BULK and not any(is_beside for _, is_beside in shop.reading.texts)


def test_what_is_said_again_is_not_read_again(shop: Shop) -> None:
    """A reader that was away begins at the beginning, and shops write whole catalogues each night."""
    bulk = [f"b{number}" for number in range(BULK)]
    shop.say(bulk)
    shop.until(lambda: len(shop.shown()) == 20 + BULK)
    shop.say(["b1"], None)
    shop.event()
    assert "b1" not in shop.shown()
    before = len(shop.reading.texts)
    shop.say(bulk)
    shop.until(lambda: "b1" in shop.shown() and not shop.heard)
    shop.until(lambda: not len(shop.handler._backlog))
    assert len(shop.reading.texts) == before and len(shop.shown()) == 20 + BULK


@pytest.mark.parametrize("count", [2, AT_ONCE + 20], ids=["few", "many"])
def test_an_item_that_cannot_be_embedded_is_logged_and_keeps_no_event_from_its_list(
    shop: Shop, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    shop.reading.fails_on = "b1"
    shop.say([f"b{number}" for number in range(count)])
    shop.event()
    shop.until(lambda: not len(shop.handler._intake))
    assert "the item 'b1' of the catalogue could not be embedded" in caplog.text
    assert "b1" not in shop.shown() and len(shop.shown()) >= 20 + (count - 1) * (count > AT_ONCE)
    shop.reading.fails_on = None
    shop.say(["b1"])
    assert shop.event() and "b1" in shop.shown()


def test_a_process_ends_in_the_middle_of_a_bulk_as_ever(tmp_path: Path) -> None:
    """Its thread in the encoder would have it aborted: who lets it end has it stop first."""
    script = tmp_path / "ends.py"
    script.write_text(
        "import threading, time\nfrom streams.recommend.intake import Intake\nbegun = threading.Event()\n"
        "def embed(texts):\n    begun.set()\n    time.sleep(0.05)\n    return [len(text) for text in texts]\n"
        "intake = Intake(embed)\nintake.put({str(number): 'text' for number in range(100_000)})\n"
        "list(intake.take())\nassert begun.wait(60)\nthread = intake._thread\n"
        "import atexit\natexit._run_exitfuncs()\nprint(thread.is_alive(), len(intake) > 90_000)\n",
        encoding="utf-8",
    )
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert (ended.returncode, ended.stdout.split()) == (0, ["False", "True"]), ended.stderr


def test_at_a_start_an_encoder_that_fails_is_told(shop: Shop) -> None:
    shop = Shop()
    shop.reading.fails_on = "b1"
    shop.say(["b0", "b1"])
    with pytest.raises(RuntimeError, match="no memory"):
        shop.event()


def test_no_list_waits_for_a_fit_of_a_bulk_of_new_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of them count by their words; all once the fit that began is taken, so many touches later."""
    names = [f"blue thing {number}" for number in range(40)]
    catalogue = Catalogue(names, np.eye(40, dtype=np.float32), names)
    together = LiveCovisitation(catalogue, CovisitationPolicy(ridge=5.0, words=1.0), 2_000)
    fits: list[bool] = []
    fit = live_covisitation.fit_counts

    def noted(*given: object) -> object:
        fits.append(threading.current_thread() is threading.main_thread())
        return fit(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(live_covisitation, "fit_counts", noted)
    mine, weights = np.array([3]), np.ones(1, np.float32)
    together.touched(3, np.zeros(0, np.int64))
    together.scores(mine, weights)
    assert fits == [True]
    for number in range(700):
        catalogue.put(f"n{number}", f"blue thing new {number}", np.ones(40, np.float32))
    first = np.count_nonzero(together.scores(mine, weights)[40:])
    assert 0 < first < 100, "a list waits for few"
    for _ in range(500 // first):
        scores = together.scores(mine, weights)
    assert (scores[40:540] != 0).all() and not scores[540:].any()
    for _ in range(200):
        together.touched(4, np.array([3], np.int64))
        scores = together.scores(mine, weights)
    assert (scores[40:] != 0).all() and fits == [True, False]
