"""What is recommended, on logs of users and items: protocols, figures, and the command."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from typer.testing import CliRunner

from bench.recommendation import random_lists
from bench.recommendation.campaign import room
from bench.recommendation.figures import figures
from bench.recommendation.files.columns import Columns
from bench.recommendation.files.log import read_log
from bench.recommendation.live import live_recommender, play
from bench.recommendation.protocols import Pairs, by_time, by_user, leave_one_out, pairs_of, protocols
from bench.recommendation.taste_change import changed, race
from headrace.cli import app
from models.errors import ConfigError
from models.recommendation.covisitation import CovisitationPolicy, fit_covisitation
from models.recommendation.events import UserEvent
from models.recommendation.listing.features import ItemFeatures
from models.recommendation.recommender import Recommender
from models.recommendation.scoring import ScoringPolicy, decay, popularity, recent_histories, scores
from models.recommendation.titles import TitleVectors

GARDEN, KITCHEN = [f"g{n}" for n in range(12)], [f"k{n}" for n in range(12)]


def write_shop(folder: Path, users: int = 60) -> tuple[Path, Path]:
    """Half of the users garden, the others cook; each touches eight of the twelve items of his own, day after day."""
    rng = np.random.default_rng(3)
    lines = ["user_id,item_id,timestamp"]
    for user in range(users):
        own = GARDEN if user % 2 else KITCHEN
        for day, item in enumerate(rng.permutation(own)[:8]):
            lines.append(f"u{user},{item},2026-03-{day + 1 + user % 5:02d}T10:00:00Z")
        lines.append(f"u{user},{own[0]},2026-03-01T09:00:00Z")
    events, items = folder / "events.csv", folder / "items.csv"
    events.write_text("\n".join(lines), encoding="utf-8")
    titles = [f"{item},{'garden' if item in GARDEN else 'kitchen'} tool {item}" for item in GARDEN + KITCHEN]
    items.write_text("\n".join(["item_id,title", *titles]), encoding="utf-8")
    return events, items


def shop_pairs(folder: Path) -> Pairs:
    return pairs_of(read_log(*write_shop(folder), Columns()))


def test_a_pair_counts_once_with_its_first_time(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("user_id,item_id,timestamp\na,x,864000\na,y,172800\na,x,86400\n", encoding="utf-8")
    pairs = pairs_of(read_log(file, None, Columns()))
    assert sorted(zip(pairs.items.tolist(), pairs.days.tolist(), strict=True)) == [(0, 1.0), (1, 2.0)]


@pytest.mark.parametrize("protocol", [by_user, leave_one_out, by_time])
def test_no_pair_both_trains_and_is_foretold(tmp_path: Path, protocol) -> None:
    pairs = shop_pairs(tmp_path)
    split = protocol(pairs, 0)
    assert (split.train.matrix() + split.test.matrix()).max() == 1
    assert len(split.test.users)
    assert set(split.test.users) <= set(split.train.users)


def test_a_quarter_of_each_users_items_is_foretold(tmp_path: Path) -> None:
    pairs = shop_pairs(tmp_path)
    split = by_user(pairs, 0)
    sizes, tested = np.bincount(pairs.users), np.bincount(split.test.users, minlength=60)
    assert tested.tolist() == (sizes // 4).tolist()


def test_leave_one_out_asks_for_the_last_item_of_each_user(tmp_path: Path) -> None:
    pairs = shop_pairs(tmp_path)
    split = leave_one_out(pairs, 0)
    assert len(split.test.users) == 60
    assert split.test.days is not None and split.train.days is not None
    for user, day in zip(split.test.users, split.test.days, strict=True):
        assert day == split.train.days[split.train.users == user].max(initial=day)


def test_a_log_without_times_is_not_split_by_time() -> None:
    pairs = Pairs(np.array([0, 0]), np.array([0, 1]), None, (1, 2))
    assert list(protocols(pairs)) == ["75/25 per user", "leave one out"]


def test_figures_equal_a_slow_reference() -> None:
    rng = np.random.default_rng(1)
    given = rng.random((40, 50)).astype(np.float32)
    seen, wanted = csr_matrix(rng.random((40, 50)) < 0.1), csr_matrix(rng.random((40, 50)) < 0.1)
    wanted = csr_matrix(wanted > wanted.multiply(seen))
    ndcgs, hits = [], []
    for user in range(40):
        items = set(wanted[user].indices)
        if not items:
            continue
        order = sorted((i for i in range(50) if not seen[user, i]), key=lambda i, row=given[user]: -row[i])[:10]
        gain = sum(1 / math.log2(place + 2) for place, item in enumerate(order) if item in items)
        ndcgs.append(gain / sum(1 / math.log2(place + 2) for place in range(min(10, len(items)))))
        hits.append(bool(items & set(order)))
    found = figures(lambda users: given[users], seen, wanted)
    assert found["ndcg"] == pytest.approx(np.mean(ndcgs), abs=1e-4)
    assert found["hit_rate"] == pytest.approx(np.mean(hits), abs=1e-4)


def test_a_touch_counts_half_after_its_half_life() -> None:
    ages = np.array([0.0, 10.0, 20.0, -5.0])
    assert decay(ages, 10.0).tolist() == [1.0, 0.5, 0.25, 1.0]
    assert decay(ages, None).tolist() == [1.0] * 4


def test_of_items_that_go_with_a_users_own_the_popular_comes_first() -> None:
    touched = csr_matrix(np.array([[1, 1, 1, 0]] * 10 + [[0, 0, 0, 1]] * 30, np.float32))
    model = fit_covisitation(touched, csr_matrix((4, 1), dtype=np.float32), CovisitationPolicy(1.0, 0.0))
    ages = np.array([0.0] * 20 + [100.0] * 10)
    items = np.array([1] * 20 + [2] * 10)
    policy = ScoringPolicy(popular_days=14.0, popular=0.3)
    known = popularity(items, ages, 4, policy)
    histories = recent_histories(np.array([0]), np.array([0]), None, (1, 4), policy)
    ranked = np.argsort(-scores(model, histories, known, policy)[0]).tolist()
    assert ranked.index(1) < ranked.index(2) < ranked.index(3)


def test_one_users_scores_are_those_among_many() -> None:
    draw = np.random.default_rng(4)
    touched = csr_matrix((draw.random((30, 20)) < 0.3).astype(np.float32))
    model = fit_covisitation(touched, csr_matrix((20, 1), dtype=np.float32), CovisitationPolicy(5.0, 0.0))
    items, weights = np.array([3, 17, 5]), np.array([1.0, 0.5, 0.7], np.float32)
    history = csr_matrix((weights, ([0, 0, 0], items)), (1, 20))
    assert model.of_one(items, weights) == pytest.approx(model.scores(history)[0], abs=1e-6)


def test_the_command_tells_who_foretells_best_and_what_cold_items_get(tmp_path: Path) -> None:
    events, items = write_shop(tmp_path)
    given = ["bench", "recommend", "--data", str(events), "--items", str(items)]
    run = CliRunner().invoke(app, [*given, "--methods", "headrace,item_knn,popularity", "--json"])
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert set(report["protocols"]) == {"75/25 per user", "leave one out", "split by time"}
    for found in report["protocols"].values():
        assert found["methods"]["headrace"]["ndcg"] > 1.2 * found["methods"]["popularity"]["ndcg"]
    assert report["cold"]["times"] > 1.2


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("user_id,thing\na,x", "no column of items by its name; it has: user_id, thing; give --item-column NAME"),
        ("user_id,item_id\n,x\na,", "no row is left: 1 without a user, 1 without an item"),
        ("user_id,item_id,timestamp\na,x,yesterday", "line 2: timestamp 'yesterday' is no time"),
        ("user_id,item_id", "has no rows"),
    ],
)
def test_a_log_that_is_of_no_use_is_told_with_its_line(tmp_path: Path, lines: str, told: str) -> None:
    file = tmp_path / "events.csv"
    file.write_text(lines, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        read_log(file, None, Columns())


def test_words_of_all_columns_that_are_there_count(tmp_path: Path) -> None:
    events, items = tmp_path / "e.csv", tmp_path / "i.csv"
    events.write_text("user_id,item_id\na,x\n", encoding="utf-8")
    items.write_text("item_id,title,tags\nx,Copper kettle,kitchen\n", encoding="utf-8")
    log = read_log(events, items, Columns())
    assert log.texts == ("Copper kettle kitchen",)
    assert TitleVectors(log.texts).of(log.texts).nnz > 0


def test_the_live_recommender_is_played_event_by_event_beside_simple_lists() -> None:
    events = [UserEvent(f"u{n % 7}", f"i{(n // 7 + n % 7) % 9}", "click") for n in range(400)]
    vectors = np.eye(12, dtype=np.float32)
    report = play(live_recommender([f"i{n}" for n in range(12)], vectors, [""] * 12), events, lambda *_: None)
    assert set(report["methods"]) == {"headrace", "own_last_items", "table_of_pairs", "popular_of_late"}
    assert {line["taken"] for line in report["methods"].values()} == {393}
    assert report["methods"]["own_last_items"]["new_hit_rate"] == 0.0
    assert report["methods"]["table_of_pairs"]["hit_rate"] > 0.9  # the next is always the same


def test_who_goes_on_learning_is_soon_ahead_after_a_change_of_taste() -> None:
    rng = np.random.default_rng(2)
    ids = [f"i{n}" for n in range(40)]
    events = [
        UserEvent(f"u{rng.integers(60)}", f"i{rng.integers(4) + 4 * rng.integers(2)}", "click") for _ in range(900)
    ]

    def make() -> Recommender:
        return live_recommender(ids, np.random.default_rng(0).standard_normal((40, 32)).astype(np.float32), [""] * 40)

    turned = changed(events, ids, 450, seed=1)
    assert turned[:450] == events[:450] and turned[450:] != events[450:]
    found = race(make, turned, 450, lambda *_: None)
    assert found["ahead_after"] is not None and found["ahead_after"] < 450
    assert found["online"] > found["frozen"]


def test_no_random_list_holds_what_was_bought_or_withdrawn_over_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.recommend.writing.CUT_EVENTS", 200)
    items = [f"i{number}" for number in range(80)]
    texts = [f"thing of kind {number % 7} number {number}" for number in range(80)]
    plan = random_lists.Plan(1_500, users=60, kill_every=150, turn_every=15)
    counts = random_lists.random_lists(items, texts, plan, 1, lambda *_: None)
    assert counts["kills"] > 4 and counts["turns"] > 50 and counts["purchases"] > 100
    assert (counts["lists"], counts["bought"], counts["withdrawn"]) == (1_500, 0, 0)


def test_the_random_lists_would_tell_of_a_worker_that_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.recommend.writing.CUT_EVENTS", 200)
    monkeypatch.setattr("models.recommendation.users.Users.put", lambda users, rows: None)
    items = [f"i{number}" for number in range(80)]
    counts = random_lists.random_lists(items, items, random_lists.Plan(1_000, 60, 150, 20), 1, lambda *_: None)
    assert counts["bought"] > 0


def test_what_an_event_takes_in_a_large_catalogue_is_told_of_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []
    monkeypatch.setattr("headrace.commands.bench.recommend._TIMED", 20)
    chosen = ItemFeatures._chosen

    def noted(self: ItemFeatures, *given: Any) -> Any:
        places = chosen(self, *given)
        asked.append(None if places is None else len(places))
        return places

    monkeypatch.setattr(ItemFeatures, "_chosen", noted)
    run = CliRunner().invoke(app, ["bench", "recommend", "--catalogue", "900", "--json"])
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert (report["items"], report["events"]) == (900, 20)
    for line in (report["all"], report["candidates"]):
        assert 0 < line["computing_ms"]["p50"] <= line["computing_ms"]["p99"]
    half = len(asked) // 2
    assert set(asked[:half]) == {None} and all(0 < count < 900 for count in asked[half:] if count is not None)
    assert None not in asked[half:]


def test_a_log_is_asked_for_where_one_is_needed() -> None:
    run = CliRunner().invoke(app, ["bench", "recommend"])
    assert run.exit_code == 2 and "give a file of interactions" in run.output


def test_a_protocol_that_a_log_is_too_small_for_is_left_out_and_said(tmp_path: Path) -> None:
    """All at one time, as of a day; then users of one item each."""
    file = tmp_path / "events.csv"
    rows = [f"u{user},{item},2020-01-01" for user in range(12) for item in range(user % 3, 9)]
    file.write_text("\n".join(["user,item,date", *rows]), encoding="utf-8")
    given = ["bench", "recommend", "--data", str(file), "--methods", "headrace,popularity"]
    run = CliRunner().invoke(app, given)
    assert run.exit_code == 0, run.output
    assert "left out, as nothing would be learnt or foretold: split by time" in run.output
    file.write_text("user,item\n" + "\n".join(f"{user},{user % 3}" for user in range(12)), encoding="utf-8")
    run = CliRunner().invoke(app, given)
    assert run.exit_code != 0 and "users of at least four items are needed" in str(run.exception)


def test_more_items_than_memory_holds_tables_of_are_told_with_the_way_out() -> None:
    room(1_000, 10**9)
    with pytest.raises(ConfigError, match=r"235,000 items: .* some 1,325 GB, and 16 GB are free, .*25,819: --core 5"):
        room(235_000, 16 * 10**9)
