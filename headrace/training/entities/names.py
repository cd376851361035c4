"""An application's list of names: from a CSV to a gazetteer."""

from pathlib import Path
from typing import Final

from connectors.table_files import open_table
from connectors.table_lines import Reject
from models.entities.gazetteer import Entity, Gazetteer, entities_of
from models.errors import ConfigError

NEEDED: Final = ("id", "name")
COLUMNS: Final = (*NEEDED, "aliases", "tickers")


def read_gazetteer(path: Path) -> Gazetteer:
    """Raises ConfigError, with the line where there is one, for a file that is no list of names."""
    rows: list[tuple[str, str, str, str]] = []
    with open_table(path) as table:
        missing = [column for column in NEEDED if column not in table.columns]
        if missing:
            raise ConfigError(f"{path} has no column {missing[0]!r}; a list of names may have {', '.join(COLUMNS)}")
        for row in table.rows:
            if isinstance(row, Reject):
                raise ConfigError(f"{path}, line {row.line}: {row.reason}")
            known_as, name, aliases, tickers = (str(row.fields.get(column) or "").strip() for column in COLUMNS)
            if not known_as or not name:
                raise ConfigError(f"{path}, line {row.line}: an entity needs an id and a name")
            rows.append((known_as, name, aliases, tickers))
    return _gazetteer(path, entities_of(rows))


def _gazetteer(path: Path, entities: tuple[Entity, ...]) -> Gazetteer:
    if not entities:
        raise ConfigError(f"{path} lists no entity")
    try:
        return Gazetteer(entities)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
