"""`headrace apps new`: an application's file with remarks, and the labelled examples that it is trained on."""

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from json import dumps as json_text
from pathlib import Path
from typing import BinaryIO, Final, Literal

from jinja2 import Environment, StrictUndefined

from headrace.applications import SHIPPED
from headrace.output import print_json
from headrace.terminal import say
from headrace.tools.apps.questions import TAKEN_COLUMNS, Sheet, StarterHead, read_sheet
from headrace.tools.data.files import new_file, write_new
from headrace.tools.data.writing import write_sheet
from models.errors import ConfigError
from models.figures import number_of
from streams.application import Application, parse_application
from streams.application.names import NAME_IN_WORDS, NAME_PATTERN

Language = Literal["en", "zh"]

STARTERS: Final = "headrace.tools.apps"
USUAL_NAMES: Final = {  # of questions, and the column of the examples that answers them
    "urgency": ("urgency", "priority", "severity", "triage"),
    "mood": ("mood", "sentiment", "tone", "emotion", "feeling"),
}
HUMAN_QUEUES: Final[dict[Language, str]] = {"en": "people", "zh": "人工"}  # as the remarks name it
QUEUES: Final[dict[Language, dict[str, str]]] = {
    "en": {"question": "desk", "problem": "caretaker", "praise": "desk", "high": "on_call", "normal": "desk"},
    "zh": {"咨询": "前台", "故障": "维修", "表扬": "前台", "紧急": "值班", "一般": "前台"},
}


@dataclass(frozen=True, slots=True)
class Starter:
    """What to write. heads: names of the questions, the primary one first. topic: empty: by the name. sheet: labelled
    texts that stand already, whose columns `heads` names; None: examples are written. text: the sheet's column of
    texts."""

    name: str
    folder: Path
    heads: tuple[str, ...] = ("topic",)
    language: Language = "en"
    topic: str = ""
    sheet: Path | None = None
    text: str | None = None

    @property
    def application_file(self) -> Path:
        """The application's TOML file."""
        return self.folder / f"{self.name}.toml"

    @property
    def examples_file(self) -> Path:
        """The labelled examples, beside it."""
        return self.sheet or self.folder / f"{self.name}.csv"


def run_new(starter: Starter, *, json: bool) -> None:
    """Write both files, or none, and say what comes next."""
    written = write_starter(starter)
    if json:
        paths = {"application": str(starter.application_file), "examples": str(starter.examples_file)}
        return print_json(paths | {"name": written.name, "topic": written.topic, "heads": list(written.head_names)})
    say(f"{starter.application_file}: what is decided; its remarks tell what each line does and what to change first")
    if starter.sheet is None:
        say(f"{starter.examples_file}: labelled examples; put your own in their place")
    return say(f"next: `headrace apps check {starter.application_file}`")


def write_starter(starter: Starter) -> Application:
    """Write the files of an application. Returns it, as it is read again. Raises ConfigError, and nothing is written
    then."""
    sheet = None
    if starter.sheet is not None:
        sheet = read_sheet(starter.sheet, starter.heads, HUMAN_QUEUES[starter.language], starter.text)
    _refuse_names(starter, starter.heads if sheet is None else [head.name for head in sheet.heads])
    examples = [] if sheet is not None else _examples(starter.language)
    heads = tuple(_heads(starter, examples)) if sheet is None else sheet.heads
    text = _application_text(starter, heads, sheet)
    app = parse_application(text, starter.folder, str(starter.application_file))
    if not starter.folder.is_dir():
        raise ConfigError(f"there is no folder {starter.folder}; make it first, or give --folder another one")
    content = {starter.application_file: text}
    if sheet is None:
        content[starter.examples_file] = _csv_text(heads, examples)
    for path in content:
        another = "--from for your own examples, or NAME or --folder" if path.suffix == ".csv" else "NAME or --folder"
        new_file(path, another)
    write_new({path: partial(_write, text) for path, text in content.items()})
    return app


def _write(text: str, out: BinaryIO) -> None:
    out.write(text.encode())


def _refuse_names(starter: Starter, heads: Sequence[str]) -> None:
    """Raises ConfigError where a name cannot be one, or is taken."""
    for what, name in (("an application", starter.name), *(("a head", head) for head in heads)):
        if not re.fullmatch(NAME_PATTERN, name):
            raise ConfigError(f"{name!r} cannot name {what}: it {NAME_IN_WORDS}")
    if starter.name in SHIPPED:
        raise ConfigError(f"{starter.name!r} names an application that ships with Headrace; give yours another name")
    for head in starter.heads:
        if head in TAKEN_COLUMNS and starter.sheet is None:
            raise ConfigError(f"a head cannot be called {head!r}: a column of this name holds something else")
        if starter.heads.count(head) > 1:
            raise ConfigError(f"--heads names {head!r} twice; give each question a name of its own")


def _examples(language: Language) -> list[dict[str, str]]:
    raw = files(STARTERS).joinpath("starters", f"rows_{language}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(raw)))


def _heads(starter: Starter, examples: Sequence[dict[str, str]]) -> Iterator[StarterHead]:
    """Each question with a column of the examples: the one that its name means, else the next one that is free."""
    columns = [name for name in examples[0] if name != "text"]
    if len(starter.heads) > len(columns):
        raise ConfigError(
            f"--heads names {number_of(len(starter.heads), 'question')}, and the examples "
            f"answer {len(columns)} at most; begin with "
            f"these, and copy a [[heads]] table for each further one"
        )
    meant = {head: column for head in starter.heads for column, names in USUAL_NAMES.items() if head in names}
    chosen: dict[str, str] = {}
    for head in starter.heads:
        if head in meant and meant[head] not in chosen.values():
            chosen[head] = meant[head]
    for head in starter.heads:
        if head not in chosen:
            chosen[head] = next(column for column in columns if column not in chosen.values())
    for head in starter.heads:
        labels = tuple(dict.fromkeys(row[chosen[head]] for row in examples))
        queues = tuple((label, QUEUES[starter.language].get(label, "desk")) for label in labels)
        yield StarterHead(head, chosen[head], labels, queues)


def _application_text(starter: Starter, heads: Sequence[StarterHead], sheet: Sheet | None) -> str:
    template = files(STARTERS).joinpath("starters", f"application_{starter.language}.toml.j2")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["toml"] = _toml
    beside = os.path.relpath(starter.examples_file, starter.folder)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        name=starter.name,
        topic=starter.topic or f"{starter.name}.texts",
        heads=heads,
        corpus=beside if sheet is None else Path(beside).as_posix(),
        text_column=None if sheet is None else sheet.text,
        columns=[head.name if sheet is None else head.column for head in heads],
    )


def _toml(text: str) -> str:
    """A text as TOML writes it: JSON's strings are TOML's, but for the delete character."""
    return json_text(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _csv_text(heads: Sequence[StarterHead], examples: Sequence[dict[str, str]]) -> str:
    out = io.BytesIO()
    rows = ([row["text"], *(row[head.column] for head in heads)] for row in examples)
    write_sheet(out, ["text", *(head.name for head in heads)], rows)
    return out.getvalue().decode()
