"""`headrace recommend`, with events of a file."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.applications import load_application
from headrace.cli import app as cli
from headrace.process.recommender import recommender_of
from headrace.settings import load_settings
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.application import Application

KINDS = ("garden", "kitchen", "office")


@pytest.fixture
def shop(tmp_path: Path) -> list[str]:
    items = [f"{kind[0]}{number},{kind} thing {number}" for kind in KINDS for number in range(8)]
    (tmp_path / "items.csv").write_text("\n".join(["item_id,title", *items]), encoding="utf-8")
    events = ["user_id,item_id,action"]
    for user in range(40):
        events += [f"u{user},{KINDS[user % 3][0]}{(user + step) % 8},click" for step in range(4)]
    events.append("u0,g7,purchase")
    (tmp_path / "events.csv").write_text("\n".join(events), encoding="utf-8")
    (tmp_path / "shop.toml").write_text(
        'name = "shop"\nkind = "recommend"\ntopic = "clicks"\ncatalog = "items.csv"\n'
        '[source]\nkey = "/user_id"\nuser = "/user_id"\n'
        'item = "/item_id"\naction = "/action"\n[recommend]\nlength = 5\n',
        encoding="utf-8",
    )
    return ["--app", str(tmp_path / "shop.toml"), "--data", str(tmp_path / "events.csv")]


def asked(shop: list[str], *given: str) -> dict[str, object]:
    run = CliRunner().invoke(cli, ["recommend", *given, *shop, "--json"])
    assert run.exit_code == 0, run.output
    report: dict[str, object] = json.loads(run.stdout)
    return report


def ids(report: dict[str, object]) -> list[str]:
    items = report["items"]
    assert isinstance(items, list)
    return [item["item_id"] for item in items]


def test_a_users_list_is_of_his_kind_and_without_what_he_bought(shop: list[str]) -> None:
    report = asked(shop, "u0")
    assert report["known"] and report["events"] == 161 and report["users"] == 40
    assert len(ids(report)) == 5 and "g7" not in ids(report)
    assert all(item.startswith("g") for item in ids(report))


def test_what_goes_with_an_item_is_not_the_item(shop: list[str]) -> None:
    report = asked(shop, "--item", "k2")
    assert "k2" not in ids(report) and ids(report)[0].startswith("k")


def test_where_nothing_is_left_it_says_why(shop: list[str], tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\ng0,garden thing\n", encoding="utf-8")
    (tmp_path / "events.csv").write_text("user_id,item_id,action\nu0,g0,purchase\n", encoding="utf-8")
    of_user, of_item = (CliRunner().invoke(cli, ["recommend", *given, *shop]) for given in (["u0"], ["--item", "g0"]))
    assert "nothing is left to show: all others were bought or are withdrawn" in of_user.stdout
    assert "nothing is left to show: no other item" in of_item.stdout


def test_a_shops_own_words_for_actions_are_understood(shop: list[str], tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id,action\nu0,g7, Kauf \n", encoding="utf-8")
    assert "g7" in ids(asked(shop, "u0"))
    with (tmp_path / "shop.toml").open("a", encoding="utf-8") as file:
        file.write('actions = {KAUF = "purchase"}\n')
    assert "g7" not in ids(asked(shop, "u0"))


@pytest.mark.parametrize(
    ("actions", "told"),
    [('{" " = "purchase"}', "a name of an action is empty"), ('{Kauf = "purchase", kauf = "view"}', "differ in case")],
)
def test_words_for_actions_that_say_nothing_or_two_things_are_refused(
    shop: list[str], tmp_path: Path, actions: str, told: str
) -> None:
    """An empty one had every event without an action pass for a purchase."""
    with (tmp_path / "shop.toml").open("a", encoding="utf-8") as file:
        file.write(f"actions = {actions}\n")
    run = CliRunner().invoke(cli, ["recommend", "u0", *shop])
    assert run.exit_code != 0 and told in str(run.exception)


def written(shop: list[str], tmp_path: Path, line: str) -> Application:
    with (tmp_path / "shop.toml").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    return load_application(tmp_path / "shop.toml")


def test_an_applications_file_says_which_actions_ask_for_lists(shop: list[str], tmp_path: Path) -> None:
    app = written(shop, tmp_path, 'lists_for = ["view", "cart"]')
    assert app.recommend.lists_for == ["view", "cart"]
    recommender, _, _ = recommender_of(Wiring(load_settings()), app)
    assert recommender.policy.lists_for == {"view", "cart"}
    assert len(ids(asked(shop, "u0"))) == 5, "by hand there is a list whatever was done"


@pytest.mark.parametrize(("given", "told"), [('["look"]', "'view', 'click', 'cart'"), ("[]", "at least 1 item")])
def test_lists_for_actions_that_nobody_knows_or_for_none_are_refused(
    shop: list[str], tmp_path: Path, given: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        written(shop, tmp_path, f"lists_for = {given}")


def test_of_somebody_unknown_it_says_so(shop: list[str]) -> None:
    assert asked(shop, "nobody")["known"] is False
    run = CliRunner().invoke(cli, ["recommend", "nobody", *shop])
    assert "nothing is known of nobody" in run.stdout and "popular now" in run.stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("who,what\nu0,g1\n", "line 2: no user at /user_id"),
        ("user_id,what\nu0,g1\n", "line 2: no item at /item_id"),
        ("user_id,item_id\n", "it has no row"),
    ],
)
def test_a_file_without_an_event_says_what_is_wrong(shop: list[str], tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "events.csv").write_text(text, encoding="utf-8")
    run = CliRunner().invoke(cli, ["recommend", "u0", *shop])
    assert run.exit_code != 0
    assert "events.csv holds no event of shop" in str(run.exception) and told in str(run.exception)


@pytest.mark.parametrize(
    ("given", "told"),
    [(["--item", "x9"], "there is no item x9"), ([], "give a user"), (["u0", "--item", "k2"], "give a user")],
)
def test_what_cannot_be_answered_is_told_in_a_line(shop: list[str], given: list[str], told: str) -> None:
    run = CliRunner().invoke(cli, ["recommend", *given, *shop])
    assert run.exit_code != 0
    assert told in run.output or told in str(run.exception)


def test_what_is_popular_in_a_users_country_is_told_as_that(shop: list[str], tmp_path: Path) -> None:
    config = (tmp_path / "shop.toml").read_text(encoding="utf-8")
    segments = '[source]\nsegments = {country = "/country"}\n'
    (tmp_path / "shop.toml").write_text(config.replace("[source]\n", segments), encoding="utf-8")
    lines = ["user_id,item_id,action,country"]
    for user in range(40):
        country = ("FR", "NO")[user % 2]
        lines.append(f"u{user},{'gk'[user % 2]}{user % 4},view,{country}")
    (tmp_path / "events.csv").write_text("\n".join([*lines, "new,nothing,view,NO"]), encoding="utf-8")
    run = CliRunner().invoke(cli, ["recommend", "new", *shop])
    assert run.exit_code == 0 and "popular in country=NO" in run.stdout and "=FR" not in run.stdout
    first = asked(shop, "new")["items"][0]  # type: ignore[index]
    assert (first["why"], first["segment"], first["item_id"][0]) == ("popular", "country=NO", "k")


def test_from_files_it_needs_no_broker_and_says_what_it_read(
    shop: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalogue topic is read where a broker answers; whoever has two files and no broker is shown a list as well."""
    monkeypatch.setenv("HEADRACE_BROKER", "kafka://127.0.0.1:9")
    with (tmp_path / "shop.toml").open("a", encoding="utf-8") as file:
        file.write('catalog_topic = "shop.items"\n')
    assert asked(shop, "u0")["catalogue"] == "file"
    run = CliRunner().invoke(cli, ["recommend", "u0", *shop])
    assert "the catalogue as its file has it" in run.stdout
    without_events = CliRunner().invoke(cli, ["recommend", "u0", *shop[:2]])
    assert without_events.exit_code != 0 and "no Kafka broker answers" in str(without_events.exception)


def test_a_reason_calls_the_item_that_speaks_for_it_by_its_words(shop: list[str]) -> None:
    run = CliRunner().invoke(cli, ["recommend", "--item", "k2", *shop], env={"COLUMNS": "140"})
    assert "others touched it with “kitchen thing 2” (k2)" in run.stdout
    items = asked(shop, "--item", "k2")["items"]
    assert isinstance(items, list) and items[0]["because_text"] == "kitchen thing 2"
