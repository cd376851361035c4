"""What `--help` shows of every command is what its author wrote."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from rich.errors import MarkupError
from rich.text import Text

from headrace.cli import app


def helps(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Place and words of a command's own help and of each of its options, and of those below it."""
    name = " ".join(path)
    yield name, command.help or ""
    for option in command.params:
        yield f"{name} {option.name}", getattr(option, "help", None) or ""
    for below, each in getattr(command, "commands", {}).items():
        yield from helps(each, (*path, below))


EVERY = {place: words for place, words in helps(typer.main.get_command(app)) if "[" in words}


def test_there_are_words_in_brackets() -> None:
    assert EVERY


@pytest.mark.parametrize("place", EVERY)
def test_no_word_in_brackets_is_taken_for_a_style(place: str) -> None:
    try:
        shown = Text.from_markup(EVERY[place]).plain
    except MarkupError as error:
        pytest.fail(f"{error}; write \\\\[ for [")
    assert shown == EVERY[place].replace("\\[", "["), "write \\\\[ for ["
