"""What a person reads on a terminal: text shown as text, whoever wrote it.

A customer's text may hold what a terminal or a table library would obey: escape sequences, rich's [markup], :emoji:
codes, text that runs backwards. Every printed field and every cell passes through here, so that none of it acts.
"""

import errno
import io
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.addresses import redacted

if TYPE_CHECKING:
    from rich.console import Console


def plain(value: object) -> str:
    """A text with everything that is not to be seen (Unicode's category C, but line ends) written out as an escape."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        character if character == "\n" or unicodedata.category(character)[0] != "C" else _escaped(character)
        for character in text
    )


def field(value: object, limit: int | None = None) -> str:
    """The same on one line, for a cell or a field of a line: line ends are written out. limit: in characters."""
    if value is None:
        return ""
    text = str(value)
    shortened = text if limit is None or len(text) <= limit else text[: limit - 1] + "…"
    return plain(shortened).replace("\n", "\\n").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def one_line(value: object) -> str:
    """A message on one line, without credentials: its line ends become blanks."""
    return redacted(_as_typed(plain(" ".join(str(value).split("\n")))))


def say(text: object = "", *, error: bool = False) -> None:
    """Print lines on stdout, or on stderr."""
    print(_as_typed(plain(text)), file=sys.stderr if error else sys.stdout)


def some_of(names: Sequence[object], most: int = 5, between: str = ", ") -> str:
    """Names on one line, and how many more there are: "a, b and 3 more"."""
    shown, left = between.join(map(field, names[:most])), len(names) - most
    return f"{shown} and {left:,} more" if left > 0 else shown


def say_left_out(count: int, what: str) -> None:
    """Below a list of the first ones: how many more there are, if any. what: of what, and where all are to be had."""
    if count > 0:
        say(f"and {count:,} more {what}")


def say_rejected(rows: Iterable[Any]) -> None:
    """Rows that were not taken, each with its line and the reason, on stderr."""
    for row in rows:
        say(f"line {row.line}: {field(row.reason)}", error=True)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table on stdout, as wide as the terminal. A cell may be a tuple: its values stand below each other. The first
    column is never broken: it names the row."""
    from rich.table import Table
    from rich.text import Text

    cells = [[_cell_lines(value) for value in row] for row in rows]
    is_tall = any(len(lines) > 1 for row in cells for lines in row)
    table = Table(title=None if title is None else Text(field(title)), show_lines=is_tall)
    for number, column in enumerate(columns):
        table.add_column(Text(column), no_wrap=number == 0, overflow="fold")
    for row in cells:
        table.add_row(*(Text("\n".join(lines)) for lines in row))
    console().print(table)


def _cell_lines(value: object) -> list[str]:
    return [field(line) for line in (value if isinstance(value, tuple) else (value,))]


def console(*, stderr: bool = False) -> "Console":
    """rich's console that takes no text as markup, emoji code or something to colour."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def prepare_streams() -> None:
    """What a terminal's encoding cannot hold becomes a `?` there instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def silence_stdout() -> None:
    """Nobody reads on, or nothing can be written: what is left must not fail again while the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def is_broken_pipe(error: OSError) -> bool:
    """Whether a reader such as `head` has gone."""
    return error.errno in (errno.EPIPE, errno.ESHUTDOWN)


def _as_typed(text: str) -> str:
    """Advice that can be pasted: `headrace ...` as this process was called, where it is not on the PATH."""
    return text if "`headrace " not in text else text.replace("`headrace ", f"`{_command()} ")


def _command() -> str:
    program = Path(sys.argv[0])
    is_found = program.name != "headrace" or shutil.which("headrace") is not None
    return "headrace" if is_found else str(program)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
