"""Files of interactions and items, as public data sets and shops have them: the same log from each."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from bench.recommendation.files.columns import Columns
from bench.recommendation.files.core import core_of
from bench.recommendation.files.log import Log, read_log
from headrace.cli import app
from models.errors import ConfigError

START = 1_394_496_000  # seconds since 1970
# user, item, rating, seconds: everybody rates; item 11 has no title, and nobody rates item 14
TOUCHES = [(1, 10, 5.0, 0), (1, 11, 2.5, 60), (2, 10, 3.0, 3_600), (2, 12, 0.5, 90_000), (3, 13, 4.5, 200_000)]
TITLES = {10: ("Café Tales (1995)", "Comedy|Drama"), 12: ('The "Old" Kettle', "Drama"), 13: ("Rain, Again", "Noir")}
OTHERS = {14: ("Nobody's Film", "Drama")}


def lines(given: Callable[[int, int, float, int], str], header: str = "") -> str:
    rows = [given(user, item, rating, START + seconds) for user, item, rating, seconds in TOUCHES]
    return "\n".join(([header] if header else []) + rows) + "\n"


def titles(given: Callable[[int, str, str], str], header: str = "") -> str:
    rows = [given(item, *said) for item, said in (TITLES | OTHERS).items()]
    return "\n".join(([header] if header else []) + rows) + "\n"


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


MOVIES = titles(lambda i, t, g: f"{i},{quoted(t)},{g}", "movieId,title,genres")
# name: files, with (interactions, items)
SHAPES: dict[str, tuple[str, str, str, str | None]] = {
    "u.data and u.item": (
        "u.data",
        lines(lambda u, i, r, t: f"{u}\t{i}\t{round(r)}\t{t}"),
        "u.item",
        titles(lambda i, t, g: f"{i}|{t}|01-Jan-1995||http://example.org/{i}|0|1|0"),
    ),
    "ratings.csv and movies.csv": (
        "ratings.csv",
        lines(lambda u, i, r, t: f"{u},{i},{r},{t}", "userId,movieId,rating,timestamp"),
        "movies.csv",
        MOVIES,
    ),
    "ratings.dat and movies.dat": (
        "ratings.dat",
        lines(lambda u, i, r, t: f"{u}::{i}::{r}::{t}"),
        "movies.dat",
        titles(lambda i, t, g: f"{i}::{t}::{g}"),
    ),
    "reviews as JSON lines, seconds": (
        "reviews_5.json",
        lines(lambda u, i, r, t: json.dumps({"reviewerID": f"{u}", "asin": f"{i}", "overall": r, "unixReviewTime": t})),
        "meta.json",
        titles(lambda i, t, g: repr({"asin": f"{i}", "title": t, "categories": [g.split("|")]})),
    ),
    "reviews as JSON lines, milliseconds": (
        "reviews.jsonl",
        lines(
            lambda u, i, r, t: json.dumps(
                {
                    "rating": r,
                    "title": "x",
                    "asin": f"v{i}",
                    "parent_asin": f"{i}",
                    "user_id": f"{u}",
                    "timestamp": t * 1000,
                }
            )
        ),
        "meta.jsonl",
        titles(
            lambda i, t, g: json.dumps({"main_category": None, "title": t, "parent_asin": f"{i}", "details": {"a": 1}})
        ),
    ),
    "ratings only, commas, no header": (
        "ratings_x.csv",
        lines(lambda u, i, r, t: f"{u},{i},{r},{t}"),
        "movies.csv",
        MOVIES,
    ),
    "events of a shop": (
        "events.csv",
        lines(lambda u, i, r, t: f"{t}123,{u},addtocart,{i},", "timestamp,visitorid,event,itemid,transactionid"),
        "items.csv",
        titles(lambda i, t, g: f"{i};{quoted(t)}", "itemid;title"),
    ),
    "who played what, no header": (
        "userid-timestamp-artid.tsv",
        lines(lambda u, i, r, t: f"{u}\t{iso(t)}\t{i}\tsomebody\t\ta track"),
        "artists.dat",
        titles(lambda i, t, g: f"{i}\t{t}\thttp://example.org", "id\tname\turl"),
    ),
    "names with types": (
        "x.inter",
        lines(
            lambda u, i, r, t: f"{u}\t{i}\t{r}\t{t}.0", "user_id:token\titem_id:token\trating:float\ttimestamp:float"
        ),
        "x.item",
        titles(lambda i, t, g: f"{i}\t{quoted(t)}", "item_id:token\ttitle:token_seq"),
    ),
    "semicolons and quotes": (
        "Ratings.csv",
        lines(lambda u, i, r, t: f'"{u}";"{i}";"{r}";"{iso(t)}"', '"User-ID";"ISBN";"Book-Rating";"Date"'),
        "Books.csv",
        titles(lambda i, t, g: f'"{i}";{quoted(t)}', '"ISBN";"Book-Title"'),
    ),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_log_is_read_of_every_shape(tmp_path: Path, shape: str, encoding: str, packed: bool) -> None:
    data, text, items, words = SHAPES[shape]
    log = read_log(
        write(tmp_path / data, text, encoding, packed),
        write(tmp_path / items, words or "", encoding, packed),
        Columns(),
    )
    pairs = [(log.user_ids[user], log.item_ids[item]) for user, item in zip(log.users, log.items, strict=True)]
    assert pairs == [(str(user), str(item)) for user, item, *_ in TOUCHES]
    assert log.days is not None
    assert np.abs(log.days * 86_400 - np.array([START + seconds for *_, seconds in TOUCHES])).max() < 1
    for item, said in zip(log.item_ids, log.texts, strict=True):
        assert said.startswith(TITLES[int(item)][0]) if item != "11" else said == ""
    assert dict(log.words) == {"with_words": 3, "touched_by_nobody": 1}
    assert not any(log.skipped.values())


def write(path: Path, text: str, encoding: str = "utf-8", packed: bool = False) -> Path:
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def read(path: Path, text: str, columns: Columns | None = None, least_rating: float | None = None) -> Log:
    return read_log(write(path, text), None, columns or Columns(), least_rating)


def test_what_shops_call_a_purchase_is_one(tmp_path: Path) -> None:
    log = read(tmp_path / "e.csv", "visitorid,event,itemid\n1,view,5\n1,addtocart,5\n1,transaction,5\n2,Wished,5\n")
    assert log.actions == ("view", "cart", "purchase", "wished")


@pytest.mark.parametrize(("header", "given"), [("user,item,rating\n", "rating"), ("", "3")])
def test_what_was_rated_less_is_left_out_where_that_is_asked_for(tmp_path: Path, header: str, given: str) -> None:
    text = f"{header}1,10,4.5\n1,11,3.5\n2,10,5\n2,12,4\n"
    assert len(read(tmp_path / "r.csv", text).users) == 4
    log = read(tmp_path / "r.csv", text, least_rating=4)
    assert (len(log.users), log.skipped["rated_less"], log.read_as["rating"]) == (3, 1, given)
    with pytest.raises(ConfigError, match=r"no row .*4 rated less"):
        read(tmp_path / "r.csv", text, least_rating=6)
    with pytest.raises(ConfigError, match=r"no column of ratings by its name; .*give --rating-column NAME"):
        read(tmp_path / "r.csv", "user,item,liked\n1,2,3\n", least_rating=4)


def test_ids_are_texts_zeros_at_their_beginning_stay_and_numbers_are_one_however_written(tmp_path: Path) -> None:
    log = read(tmp_path / "e.csv", "user,item\n007,0010\n7,10\n0,x\n")
    assert (log.user_ids, log.item_ids) == (("007", "7", "0"), ("0010", "10", "x"))
    log = read(tmp_path / "e.jsonl", '{"user": 7, "item": 0}\n{"user": 7.0, "item": "0"}\n{"user": 0, "item": 1}\n')
    assert (log.user_ids, log.item_ids) == (("7", "0"), ("0", "1"))


def test_parquet_is_read_with_its_numbers_times_and_gaps(tmp_path: Path) -> None:
    columns = {"user_id": [0, 1, None], "movieId": [7.0, 8.0, 9.0], "timestamp": [datetime(2014, 3, 11)] * 3}
    parquet.write_table(pyarrow.table(columns), tmp_path / "e.parquet")
    log = read_log(tmp_path / "e.parquet", None, Columns())
    assert (log.user_ids, log.item_ids, log.skipped["no_user"]) == (("0", "1"), ("7", "8"), 1)
    assert log.days is not None and log.days.tolist() == [16_140.0] * 2


@pytest.mark.parametrize("time", ["1394496000", "1394496000000", "1.394496e9", "2014-03-11T00:00:00Z", "2014-03-11"])
def test_times_are_read_in_each_unit(tmp_path: Path, time: str) -> None:
    log = read(tmp_path / "e.csv", f"user,item,ts\n1,2,{time}\n")
    assert log.days is not None and log.days.tolist() == [16_140.0]


def test_times_may_be_left_out_and_a_row_without_one_is_passed_over(tmp_path: Path) -> None:
    text = "user,item,date\n1,2,12/1/2010 8:26\n"
    with pytest.raises(ConfigError, match=r"line 2: date '12/1/2010 8:26' is no time; .*`none` leaves times out"):
        read(tmp_path / "e.csv", text)
    assert read(tmp_path / "e.csv", text, Columns(time="none")).days is None
    log = read(tmp_path / "e.csv", "user,item,date\n1,2,2010-12-01\n1,3,\n")
    assert (len(log.users), log.skipped["no_time"]) == (1, 1)
    played = read(tmp_path / "p.tsv", "u1\t2009-05-04T23:08:57Z\ta1\tsomebody\n", Columns(time="none"))
    assert (played.user_ids, played.item_ids, played.days) == (("u1",), ("a1",), None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "shopper,thing,n\na,b,3\n",
            "no column of users and no column of items by its name; it has: shopper, thing, n;",
        ),
        ("shopper,thing\na,b\n", "give --user-column NAME --item-column NAME"),
        ("user,item\n", "has no rows"),
        ("", "is empty"),
        ("PK\x03\x04", "a workbook or a zip file"),
        ('[{"user": 1}]', "one JSON array"),
        ("1,2,3\n1,2\n", "line 2: 2 fields where the first line has 3 \\(1 of 2 rows cannot be read\\)"),
        ("5\n6\n", "it has: no header, and in its first line the columns 1 \\(5\\)"),
    ],
)
def test_a_file_that_is_of_no_use_is_told_with_what_to_give(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read(tmp_path / "events.json", text)


def test_columns_are_named_or_numbered_by_who_knows_them(tmp_path: Path) -> None:
    log = read(tmp_path / "e.csv", "shopper,thing,when\na,b,2020-01-01\n", Columns("shopper", "thing", "when"))
    assert (log.user_ids, log.item_ids) == (("a",), ("b",))
    checkins = "0\t2010-10-19T23:55:27Z\t30.23\t-97.79\t22847\n"
    log = read(tmp_path / "c.txt", checkins, Columns(item="5"))
    assert (log.user_ids, log.item_ids) == (("0",), ("22847",))
    with pytest.raises(ConfigError, match=r"no column 9; it has: no header, .*5 \(22847\) \(--item-column\)"):
        read(tmp_path / "c.txt", checkins, Columns(item="9"))


def test_a_few_broken_rows_are_passed_over_and_counted(tmp_path: Path) -> None:
    rows = [f"{n % 9},{n},3" for n in range(300)]
    log = read(tmp_path / "r.csv", "\n".join(["user,item,rating", *rows, "1,2"]))
    assert (len(log.users), log.skipped["broken"]) == (300, 1)


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ("item,title\ni1,Kettle\n", "none of its items is one that the interactions name \\('i1' here, '1' there\\)"),
        (
            "item,colour\n1,red\n",
            "no column of words \\(title, .*; it has: item, colour; give --text-columns NAME,NAME",
        ),
        ("thing,title\n1,Kettle\n", "no column of items by its name; it has: thing, title; give --item-column NAME"),
    ],
)
def test_a_file_of_items_that_does_not_fit_is_told(tmp_path: Path, items: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_log(write(tmp_path / "e.csv", "user,item\n1,1\n"), write(tmp_path / "i.csv", items), Columns())


def test_rows_without_a_user_or_an_item_are_passed_over_and_counted(tmp_path: Path) -> None:
    log = read(tmp_path / "events.csv", "user_id,item_id\na,x\n,y\n ,y\nb,\nb,y\n")
    assert (log.user_ids, log.item_ids) == (("a", "b"), ("x", "y"))
    assert (log.skipped["no_user"], log.skipped["no_item"]) == (2, 1)


def test_a_core_has_users_and_items_of_so_many_others(tmp_path: Path) -> None:
    """Item z goes, as one user has it, and then user c, who had it and one more; a pair counts once."""
    text = "user,item,ts\n" + "\n".join(
        f"{user},{item},2020-01-0{day}"
        for user, items in {"a": "xy", "b": "xyx", "c": "zx"}.items()
        for day, item in enumerate(items, 1)
    )
    whole = read(tmp_path / "e.csv", text)
    log = core_of(whole, 2)
    assert (log.user_ids, log.item_ids, len(log.users)) == (("a", "b"), ("x", "y"), 5)
    assert log.days is not None and len(log.days) == len(log.actions) == 5
    with pytest.raises(ConfigError, match="with 3 interactions each are left: give a smaller --core"):
        core_of(whole, 3)


@pytest.mark.parametrize("shape", ["u.data and u.item", "events of a shop"])
def test_the_command_takes_a_public_set_as_it_is(tmp_path: Path, shape: str) -> None:
    """Enlarged: twelve items of two tastes for thirty users."""
    data, text, items, words = SHAPES[shape]
    head = text.splitlines()[:1] if not text[0].isdigit() else []
    row = text.splitlines()[len(head)].replace(str(START), "{t}")
    rng, rows = np.random.default_rng(1), []
    for user in range(30):
        for n, item in enumerate(rng.permutation(6)[:5] + 6 * (user % 2)):
            line = row.replace("{t}", str(START + 86_400 * (n + user % 3)))
            cells = {"1": str(user + 100), "10": str(item + 200)}
            separator = next(s for s in ("\t", ",") if s in line)
            rows.append(separator.join(cells.get(cell, cell) for cell in line.split(separator)))
    said = (words or "").splitlines()
    kinds = [line for line in said if not line[0].isdigit()][:1]
    kinds += [said[-1].replace("14", str(200 + item), 1).replace("Nobody", f"Taste{item // 6}") for item in range(12)]
    given = ["--data", str(write(tmp_path / data, "\n".join(head + rows)))]
    given += ["--items", str(write(tmp_path / items, "\n".join(kinds)))]
    run = CliRunner().invoke(app, ["bench", "recommend", *given, "--methods", "headrace,popularity"])
    assert run.exit_code == 0, run.output
    assert "30 users, 12 items, 150 pairs" in run.output and "words of 12 items" in run.output
    for protocol in ("75/25 per user", "leave one out", "split by time"):
        assert protocol in run.output
