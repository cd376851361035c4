"""A training's options in a TOML file: what `headrace train --config` reads and `headrace tune` writes.

```toml
strategy = "quick"

[quick]
policy = "fixed"
strength = 12.5
```
The table is called like the strategy; its keys are the fields of the strategy's plan.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.toml_files import parse_toml, read_text
from models.errors import ConfigError
from retrain.fitting.quick_plan import quick_plan_from
from retrain.fitting.tuning.plan import plan_from

PLANS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {"quick": quick_plan_from, "full": plan_from}


@dataclass(frozen=True, slots=True)
class StrategyOptions:
    """strategy: None where the file does not say. tables: options by strategy. origin: the file, for messages."""

    strategy: str | None = None
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origin: str = ""

    def of(self, strategy: str) -> Mapping[str, Any]:
        """The options of a strategy; none where the file says nothing of it."""
        return self.tables.get(strategy, {})


def read_options(path: Path) -> StrategyOptions:
    """Read and check a file; every value is checked, those of strategies that are not asked for as well. Raises
    ConfigError in one line with the file and the line."""
    text = read_text(path)
    content = parse_toml(text, str(path))
    strategy = content.pop("strategy", None)
    if strategy is not None and not isinstance(strategy, str):
        raise ConfigError(
            f"{path}, line {_line(text, None, 'strategy')}: strategy = {strategy!r}: it is a word in quotes"
        )
    for name, table in content.items():
        if name not in PLANS or not isinstance(table, dict):
            known = ", ".join(f"[{one}]" for one in PLANS)
            raise ConfigError(
                f"{path}, line {_line(text, None, name)}: {name!r} is no table of options; there are: {known}"
            )
        for key, value in table.items():  # one by one, so that a message has its line
            try:
                PLANS[name]({key: value})
            except ConfigError as error:
                raise ConfigError(f"{path}, line {_line(text, name, key)}: {error}") from error
    return StrategyOptions(strategy, content, str(path))


def options_as_toml(strategy: str, options: Mapping[str, Any], remarks: tuple[str, ...] = ()) -> str:
    """A file that `read_options` reads back. options: the strategy's own. remarks: lines for people, without line
    breaks."""
    lines = [f"# {remark}" for remark in remarks] + [f'strategy = "{strategy}"', "", f"[{strategy}]"]
    lines += [f"{name} = {_value(value)}" for name, value in options.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _line(text: str, table: str | None, key: str) -> int:
    """Where a key, or a table, is written, from 1; where TOML's other spellings hide it, the first line."""
    inside = table is None
    for number, line in enumerate(text.splitlines(), start=1):
        if (header := re.match(r"\s*\[\s*([^\]]*?)\s*\]", line)) is not None:
            if table is None and header[1] == key:
                return number
            inside = header[1] == table
        elif inside and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
            return number
    return 1


def chosen_strategy(said: str | None, config: Path | None) -> str:
    """The strategy that the command line or the file names; quick where neither does. Raises ConfigError where they
    name two."""
    named = None if config is None else read_options(config).strategy
    if said is not None and named is not None and said != named:
        raise ConfigError(f"--strategy says {said!r} and {config} says {named!r}; leave one of them out")
    return said or named or "quick"
