"""Options of a training as plain values: what each may be, and how they are read from a table of a TOML file."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from models.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Plan = TypeVar("Plan", bound=DataclassInstance)
else:
    Plan = TypeVar("Plan")


def between(default: float, least: float, most: float, what: str) -> Any:
    """A field that is a number. what: it says, for people."""
    return field(default=default, metadata={"least": least, "most": most, "what": what})


def said(default: Any, what: str) -> Any:
    """A field that is a word (any, or one of some), or true or false."""
    return field(default=default, metadata={"what": what})


def with_options(plan: Plan, table: Mapping[str, Any], strategy: str) -> Plan:
    """The plan with a table's values in it. plan: what holds where the table is silent. Raises ConfigError at an
    unknown name, another type, or a value out of its range."""
    kinds = typing.get_type_hints(type(plan))
    fields = {one.name: one for one in dataclasses.fields(plan)}
    values = {}
    for name, value in table.items():
        if name not in fields:
            raise ConfigError(f"the strategy {strategy} has no option {name!r}; there are: {', '.join(fields)}")
        values[name] = _checked(name, value, kinds[name], fields[name].metadata)
    return dataclasses.replace(plan, **values)


def _checked(name: str, value: Any, kind: Any, limits: Mapping[str, Any]) -> Any:
    if typing.get_origin(kind) is Literal:
        words = typing.get_args(kind)
        if value not in words:
            raise ConfigError(f"{name} = {value!r}: it may be {' or '.join(words)}")
        return value
    if kind is str:
        if not isinstance(value, str):
            raise ConfigError(f"{name} = {value!r}: it is a word in quotes")
        return value
    if kind is bool or isinstance(value, bool):
        if kind is not bool or not isinstance(value, bool):
            raise ConfigError(f"{name} = {value!r}: it is {'true or false' if kind is bool else 'a number'}")
        return value
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int if kind is int else (int, float)):
        raise ConfigError(f"{name} = {value!r}: it is {'a whole number' if kind is int else 'a number'}")
    least, most = limits["least"], limits["most"]
    if not least <= value <= most:
        raise ConfigError(f"{name} = {value!r}: it may be from {least} to {most}")
    return kind(value)
