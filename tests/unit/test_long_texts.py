"""Texts longer than the encoder's input: read in windows, a title by itself, wherever a release decides or trains."""

import functools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_bert import WORDS
from small_entities import small_reader
from small_release import manifest_bytes, small_dataset, small_encoder, small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app as cli
from headrace.tools.classifying import decide
from headrace.tools.evaluating.loading import LabelledFile, read_rows
from headrace.training import from_file
from headrace.training.from_file import TrainingRequest
from models.bundle import read_reference, unpack
from models.encoder.encoder import Encoder
from models.encoder.long_texts import TITLE_CHARACTERS, LongTexts, joined, parts_of
from models.encoder.remembering import RememberingEncoder
from models.errors import ConfigError, MessageError, ReleaseCorrupt, TrainingDataError
from retrain.data import Columns, read_labelled_csv
from retrain.file_columns import FileColumns
from retrain.job import TrainedRelease, train_release
from retrain.progress import no_progress
from streams.application import Application, HeadSpec, LongTextsSpec, Source, parse_application
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.engine.delivery import Delivery, Outcome
from streams.wire.source_records import SourceReader, SourceText

TITLE = "shares fell after profit warning"
BODY = " ".join(WORDS[number % 30] for number in range(100))  # four windows of 30 words, the last of 10
HOW = LongTexts(windows=3, title_weight=0.6)
HEADS = (HeadSpec(name="intent", column="intent"), HeadSpec(name="urgency", column="urgency"))


def reader() -> Encoder:
    return small_encoder().reading(HOW)


@functools.cache
def release() -> TrainedRelease:
    return train_release("support", small_dataset(), reader())


def window(number: int) -> str:
    return " ".join(BODY.split()[30 * number : 30 * number + 30])


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / np.float32(np.linalg.norm(vector))


@given(st.text(max_size=400), st.text(max_size=50))
def test_a_title_and_a_body_are_found_again_in_their_text(title: str, body: str) -> None:
    text = joined(title, body)
    line = " ".join(title.split())[:TITLE_CHARACTERS].strip()
    found = parts_of(text)
    if line and body.strip():
        assert (found.title, found.body) == (line, body)
    elif line:
        assert found == ("", text) and text.strip() == line
    assert joined(*found).split() == text.split()


def test_a_long_first_line_is_no_title_and_one_line_is_all_body() -> None:
    assert parts_of("x" * 301 + "\nmore").title == ""
    assert parts_of(BODY) == ("", BODY)
    assert parts_of(f"\n\n{TITLE} \n\n{BODY}") == (TITLE, f"\n{BODY}")
    assert parts_of(f"{TITLE}\n \n") == ("", f"{TITLE}\n \n")


def test_what_fits_into_one_window_is_read_as_ever() -> None:
    texts = [TITLE, "", "退款 \ud800", window(0), "hello\n"]
    plain, long = small_encoder().tokenize(texts), reader().tokenize(texts)
    assert [one.ids.tobytes() for one in plain] == [one.ids.tobytes() for one in long]
    assert [(one.unknown_share, one.characters) for one in plain] == [(o.unknown_share, o.characters) for o in long]
    assert small_encoder().embed(texts).tobytes() == reader().embed(texts).tobytes()


def test_the_embedding_is_that_of_the_windows_by_their_length_and_of_the_title_by_its_weight() -> None:
    title, *windows = small_encoder().embed([TITLE, window(0), window(1), window(2)])
    body = reader().embed([BODY])[0]
    np.testing.assert_allclose(body, unit(np.mean(windows, axis=0)), atol=1e-5)
    mean = 0.6 * title + 0.4 * np.mean(windows, axis=0)
    np.testing.assert_allclose(reader().embed([f"{TITLE}\n{BODY}"])[0], unit(mean), atol=1e-5)
    four = small_encoder().reading(LongTexts(4, 0.0)).embed([f"{TITLE}\n{BODY}"])[0]
    shorter = small_encoder().embed([" ".join(BODY.split()[90:])])[0]
    tokens = np.array([32, 32, 32, 12], np.float32)[:, None]  # with the two special ones
    np.testing.assert_allclose(four, unit((tokens * [*windows, shorter]).sum(axis=0)), atol=1e-5)
    only = small_encoder().reading(LongTexts(3, 1.0)).embed([f"{TITLE}\n{BODY}"])[0]
    np.testing.assert_allclose(only, title, atol=1e-5)


def test_what_is_read_counts_and_what_is_behind_the_last_window_does_not() -> None:
    words = BODY.split()
    known = reader().embed([BODY])
    assert np.array_equal(known, reader().embed([" ".join([*words[:90], "hello"])]))
    assert not np.array_equal(known, reader().embed([" ".join([*words[:80], "hello", *words[81:]])]))
    assert np.array_equal(small_encoder().embed([BODY]), small_encoder().embed([" ".join([*words[:80], "hello"])]))


word = st.sampled_from(WORDS)
texts = st.lists(st.lists(st.one_of(word, st.just("\n")), max_size=120).map(" ".join), min_size=1, max_size=6)


@given(texts)
@settings(deadline=None, max_examples=60)
def test_a_text_has_one_embedding_whatever_it_is_computed_with(batch: list[str]) -> None:
    together = reader().embed(batch)
    assert np.isfinite(together).all() and np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    remembering = RememberingEncoder(reader())
    for row, text in enumerate(batch):
        np.testing.assert_allclose(together[row], reader().embed([text])[0], atol=1e-5)
        np.testing.assert_allclose(together[row], remembering.embed([text])[0], atol=1e-5)
    np.testing.assert_allclose(together, remembering.embed(batch), atol=1e-5)


def test_two_texts_of_the_same_windows_that_weigh_otherwise_are_not_taken_for_one() -> None:
    encoder = RememberingEncoder(reader())
    titled, plain = f"{window(0)}\n{window(1)}", f"{window(0)} {window(1)}"
    first, second = encoder.tokenize([titled, plain])
    assert np.array_equal(first.ids, second.ids) and first.identity() != second.identity()
    one, other = encoder.embed([titled, plain])
    assert not np.array_equal(one, other)


def test_unknown_words_of_all_windows_count() -> None:
    (text,) = reader().tokenize([" ".join([*BODY.split()[:30], *(["zzz"] * 30)])])
    assert text.unknown_share == pytest.approx(0.5) and len(text.windows) == 2


def test_a_release_says_how_it_reads_and_reads_so_wherever_it_is_loaded() -> None:
    described = json.loads(manifest_bytes(release()))
    assert described["encoder"]["long_texts"] == {"windows": 3, "title_weight": 0.6}
    for loaded in (None, small_encoder(), reader()):
        classifier = unpack(manifest_bytes(release()), release().blobs.__getitem__, encoder=loaded)
        assert classifier.encoder.long_texts == HOW
        (answer,) = classifier.classify_texts([f"{TITLE}\n{BODY}"], fast=False)
        expected = release().classifier.classify_texts([f"{TITLE}\n{BODY}"], fast=False)[0]
        assert answer.embedding is not None and expected.embedding is not None
        np.testing.assert_allclose(answer.embedding, expected.embedding, atol=1e-5)
    assert "long_texts" not in json.loads(manifest_bytes(small_release()))["encoder"]
    as_before = unpack(manifest_bytes(small_release()), small_release().blobs.__getitem__, encoder=reader())
    assert as_before.encoder.long_texts is None


@pytest.mark.parametrize("said", [{"windows": 0, "title_weight": 0.5}, {"windows": 3, "title_weight": 2}, {}, 7, "x"])
def test_a_manifest_that_reads_otherwise_than_anybody_may_is_refused(said: Any) -> None:
    described = json.loads(manifest_bytes(release()))
    described["encoder"]["long_texts"] = said
    with pytest.raises(ReleaseCorrupt):
        unpack(json.dumps(described).encode(), release().blobs.__getitem__, encoder=small_encoder())


@pytest.mark.parametrize("table", [None, LongTextsSpec(windows=3, title_weight=0.6)])
def test_a_training_reads_as_the_application_says(
    table: LongTextsSpec | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_file, "default_encoder", lambda _: small_encoder())
    monkeypatch.setattr(from_file, "source_of_encoder", lambda _: {"name": "small"})
    data, labelled = tmp_path / "texts.csv", small_dataset()
    lines = [f'"{TITLE}\n{row.text} {BODY}",{row.labels["intent"]},{row.split}' for row in labelled.rows[::2]]
    data.write_text("text,intent,split\n" + "\n".join(lines) + "\n", "utf-8")
    app = Application(name="support", topic="news", heads=HEADS[:1], long_texts=table)
    wiring: Any = SimpleNamespace(settings=SimpleNamespace(encoder="small"))
    registry = FolderRegistry(str(tmp_path / "registry"))
    trained = from_file.train(wiring, registry, app, TrainingRequest(data), no_progress)
    assert trained.manifest["encoder"].get("long_texts") == (None if table is None else HOW.describe())
    expected = small_encoder() if table is None else reader()
    sample = read_reference(manifest_bytes(trained), trained.blobs.__getitem__)["reference_embeddings"]
    of_texts = expected.embed([row.text for row in trained.dataset.rows])
    nearest = np.abs(sample.astype(np.float32)[:, None] - of_texts[None]).max(axis=2).min(axis=1)
    assert nearest.max() < 2e-3, "to half precision"


def test_a_retrained_release_reads_as_the_one_before() -> None:
    again = train_release("support", small_dataset(), RememberingEncoder(release().classifier.encoder))
    assert again.manifest["encoder"]["long_texts"] == HOW.describe()
    assert release().classifier.encoder.without_card().long_texts == HOW


def test_worker_and_command_decide_a_title_and_its_body_alike() -> None:
    classifier = unpack(manifest_bytes(release()), release().blobs.__getitem__, encoder=small_encoder())
    app = Application(name="support", topic="news", heads=HEADS, source=Source(text="/title", body="/body"))
    value = orjson.dumps({"title": TITLE, "body": BODY})
    batch = [Delivery("news", 0, 0, b"k", value, 1_750_000_000_000)]
    handler = ClassifyHandler(app, Serving(classifier), {"news": "e0"}, now_ms=lambda: 1_750_000_000_000)
    for _, step in handler.steps:
        step(batch)
    assert isinstance(batch[0].result, Outcome)
    live = orjson.loads(batch[0].result.records[0].value or b"")
    (told,) = decide(app, classifier, [f"{TITLE}\n{BODY}"])
    assert live["text"] == told["text"] == f"{TITLE}\n{BODY}"
    assert live["labels"] == told["labels"] and live["extra"] == {}


def test_what_is_said_of_an_entity_is_read_in_its_sentence_however_the_release_reads() -> None:
    text = "Acme loses money after the report\nZorn wins the order , Acme loses it again"
    plain = small_reader()
    read = plain.find([text], str).read(reader())
    assert len(read[0]) == 2 and read == plain.find([text], str).read(small_encoder())


def parsed(source: Source, **record: Any) -> str:
    read = SourceReader(source).parse(orjson.dumps(record), b"k", 1_750_000_000_000)
    assert isinstance(read, SourceText)
    return read.text


def test_a_record_may_have_a_title_a_body_or_both() -> None:
    source = Source(text="/title", body="/content/body", keep="all")
    assert parsed(source, title=f" {TITLE} \n ", content={"body": BODY}) == f"{TITLE}\n{BODY}"
    assert parsed(source, title=TITLE) == parsed(source, title=TITLE, content={"body": "  "}) == TITLE
    assert parsed(source, title=None, content={"body": BODY}) == parsed(source, content={"body": BODY}) == BODY
    assert parsed(source, title=" ", content={"body": BODY}) == BODY
    assert parsed(source, title=TITLE, content={"body": 7}) == TITLE
    assert parsed(Source(text="/title"), title=f"{TITLE} \n", body=BODY) == f"{TITLE} \n", "as ever without a body"
    for neither in ({}, {"title": None}, {"content": {"body": 7}}):
        with pytest.raises(MessageError, match=r"no text at /title"):
            parsed(source, **neither)
    with pytest.raises(MessageError, match="empty"):
        parsed(source, title=" ", content={"body": " "})


def test_a_body_stands_in_no_decision_twice() -> None:
    reader = SourceReader(Source(text="/title", body="/body", keep="all"))
    read = reader.parse(orjson.dumps({"title": TITLE, "body": BODY, "by": "wire"}), b"k", 1_750_000_000_000)
    assert isinstance(read, SourceText) and reader.extra(read) == {"by": "wire"}


def test_a_file_of_labelled_texts_keeps_the_line_that_ends_a_title(tmp_path: Path) -> None:
    file = tmp_path / "news.csv"
    rows = [f'"{TITLE}\n{BODY}",a,train', f'"{TITLE} again\nmore",b,train', "one line,a,test", "another,b,test"]
    file.write_text("text,label,split\n" + "\n".join(rows) + "\n", "utf-8")
    first = read_labelled_csv(file, lambda there: Columns({"topic": "label"})).rows[0].text
    assert parts_of(first) == (TITLE, BODY)


def test_a_column_of_titles_is_read_as_a_worker_reads_a_record_of_the_same_row(tmp_path: Path) -> None:
    rows = [(TITLE, BODY), ("", BODY), (TITLE, ""), ("  two \n lines ", BODY), ("t" * 400, BODY), ("  ", BODY)]
    file = tmp_path / "news.jsonl"
    file.write_text("".join(json.dumps({"head": title, "text": text, "label": "a"}) + "\n" for title, text in rows))
    where = Columns({"topic": "label"}, title="head")
    trained = [row.text for row in read_labelled_csv(file, where, trains=False).rows]
    assert trained == [parsed(Source(text="/head", body="/text"), head=title, text=text) for title, text in rows]
    assert parts_of(trained[0]) == (TITLE, BODY)


def test_what_is_no_title_is_left_and_a_row_with_neither_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "news.jsonl"
    lines = [json.dumps({"text": TITLE, "head": 7, "label": "a"}), '{"text": " ", "head": "", "label": "a"}']
    file.write_text("\n".join([*lines, '{"text": "more", "head": null, "label": "b"}']), "utf-8")
    read = read_labelled_csv(file, Columns({"topic": "label"}, title="head"), trains=False)
    assert [row.text for row in read.rows] == [TITLE, "more"]
    assert [(row.line, row.reason) for row in read.rejected] == [(2, "empty text")]
    with pytest.raises(TrainingDataError, match="no column 'titel'"):
        read_labelled_csv(file, Columns({"topic": "label"}, title="titel"))


def test_every_command_that_takes_labelled_texts_takes_their_titles(tmp_path: Path) -> None:
    file = tmp_path / "news.csv"
    file.write_text(f"head,text,topic\n{TITLE},{BODY},a\n", "utf-8")
    app = Application(name="news", topic="news", heads=(HeadSpec(name="topic", column="topic"),))
    expected = f"{TITLE}\n{BODY}"
    read = from_file.read_dataset(app, TrainingRequest(file, title_column="head"))
    assert read.rows[0].text == expected
    assert from_file.read_texts(file, FileColumns(), None, "head") == (expected,)
    scored, _ = read_rows(LabelledFile(file, title_column="head"), ["topic"], ())
    assert scored.rows[0].text == expected
    for command in (("train",), ("tune",), ("evaluate",), ("compare",), ("compress",), ("apps", "check")):
        assert "--title-column" in CliRunner().invoke(cli, [*command, "--help"], env={"COLUMNS": "200"}).stdout, command


FILE = 'name = "news"\ntopic = "news"\n[[heads]]\nname = "topic"\ncolumn = "t"\n'


def test_the_file_says_how_long_texts_are_read() -> None:
    def read(more: str) -> LongTextsSpec | None:
        return parse_application(FILE + more, Path("."), "news.toml").long_texts

    assert read("") is None
    default = read("[long_texts]\n")
    assert default is not None and default.as_read() == LongTexts()
    own = read("[long_texts]\nwindows = 8\ntitle_weight = 0.3\n")
    assert own is not None and own.as_read() == LongTexts(8, 0.3)


@pytest.mark.parametrize(
    "more",
    [
        "[long_texts]\nwindows = 0\n",
        "[long_texts]\nwindows = 33\n",
        "[long_texts]\ntitle_weight = 1.5\n",
        "[long_texts]\ntitel_weight = 0.5\n",
        '[source]\nformat = "text"\nbody = "/body"\n',
        '[source]\nbody = "body"\n',
    ],
)
def test_a_file_that_says_it_wrongly_is_refused(more: str) -> None:
    with pytest.raises(ConfigError, match=r"news\.toml"):
        parse_application(FILE + more, Path("."), "news.toml")
