"""`headrace apps check` for applications that rank items."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headrace.cli import app as cli

EVENTS = [f"u{number % 5},i{(number // 5 + number) % 9},click" for number in range(60)]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write(tmp_path, [f"i{number},thing {number}" for number in range(9)], EVENTS)
    (tmp_path / "shop.toml").write_text(
        'name = "shop"\nkind = "recommend"\ntopic = "clicks"\ncatalog = "items.csv"\ncorpus = "events.csv"\n'
        '[source]\nkey = "/user_id"\nuser = "/user_id"\nitem = "/item_id"\naction = "/action"\n',
        encoding="utf-8",
    )
    return tmp_path


def write(folder: Path, items: list[str], events: list[str]) -> None:
    (folder / "items.csv").write_text("\n".join(["item_id,title", *items]), encoding="utf-8")
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,action", *events]), encoding="utf-8")


def checked(shop: Path) -> dict[str, Any]:
    run = CliRunner().invoke(cli, ["apps", "check", str(shop / "shop.toml"), "--json"])
    proof: dict[str, Any] = json.loads(run.stdout)
    assert (run.exit_code == 0) is proof["in_order"]
    return proof


def test_a_shop_in_order_gives_each_of_its_users_a_list(shop: Path) -> None:
    proof = checked(shop)
    assert proof["in_order"] and (proof["items"], proof["events"]) == (9, 60)
    assert len(proof["records"]) == 5 and all(len(record["items"]) == 9 for record in proof["records"])
    assert "is in order" in CliRunner().invoke(cli, ["apps", "check", str(shop / "shop.toml")]).stdout


@pytest.mark.parametrize(
    ("items", "events", "field", "says"),
    [
        (["i0,thing"], EVENTS, "catalog", "of 60 events name items that it lacks: i"),
        ([",thing"], EVENTS, "catalog", "needs the columns item_id and title"),
        (["i0,thing"], [*EVENTS, ",i0,click"], "source.user", "1 of 61 events have nothing there"),
        (["i0,thing"], [*EVENTS, "u1,,click"], "source.item", "1 of 61 events have nothing there"),
        (["i0,thing"], [*EVENTS, "u1,i0,bought"], "source.action", "counted as `other`: bought"),
    ],
    ids=["items that are missing", "an item without a name", "no user", "no item", "an action of its own"],
)
def test_what_does_not_fit_is_told_under_its_field(
    shop: Path, items: list[str], events: list[str], field: str, says: str
) -> None:
    write(shop, items, events)
    said = {problem["field"]: problem["says"] for problem in checked(shop)["problems"]}
    assert says in said[field]


def test_a_shop_without_events_is_told_what_to_write(shop: Path) -> None:
    text = (shop / "shop.toml").read_text(encoding="utf-8")
    (shop / "shop.toml").write_text(text.replace('corpus = "events.csv"\n', ""), encoding="utf-8")
    said = {problem["field"]: problem["says"] for problem in checked(shop)["problems"]}
    assert 'write corpus = "EVENTS.csv"' in said["corpus"]


@pytest.mark.parametrize(
    ("setting", "problem", "note"),
    [
        ('lists_for = ["view"]', "no event asks for a list: named are view, and the events are click 60", None),
        ('lists_for = ["click", "cart"]', None, "recommend.lists_for: of 60 events none is cart"),
        ('actions = {klick = "click"}', None, "recommend.actions: of 60 events none is called klick"),
        ('lists_for = ["click"]\nactions = {click = "click"}', None, None),
    ],
    ids=["nobody gets a list", "one that none is", "a word that none has", "in order"],
)
def test_names_of_actions_that_no_event_has_are_told(
    shop: Path, setting: str, problem: str | None, note: str | None
) -> None:
    """Where nobody would get a list there is something to mend; a name that few events lack may be meant."""
    text = (shop / "shop.toml").read_text(encoding="utf-8")
    (shop / "shop.toml").write_text(f"{text}[recommend]\n{setting}\n", encoding="utf-8")
    proof = checked(shop)
    assert [one["says"] for one in proof["problems"]] == [problem] * bool(problem)
    assert proof["notes"] == [note] * bool(note)
    told = CliRunner().invoke(cli, ["apps", "check", str(shop / "shop.toml")]).stdout
    assert (note or problem or "is in order") in " ".join(told.split())
