"""From a file's text to an application, or to an error that says what to write."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from models.errors import ConfigError
from models.label_sets import NONE
from streams.application.alerting import ReceiverSpec
from streams.application.application import Application
from streams.application.names import MEANT, meant_instead
from streams.application.refusals import Refusal, refusals_of, toml_hint
from streams.application.source import HeadSpec
from streams.rule_specs import labels_named


def parse_application(text: str, folder: Path, origin: str, given_as: str | None = None) -> Application:
    """An application from its TOML text; relative paths in it start at `folder`. Raises ConfigError naming `origin`.
    given_as: what a command takes for it, None for its name."""
    try:
        app = Application.model_validate(tomllib.loads(text.removeprefix("\ufeff")))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin} is no valid TOML: {error}{toml_hint(text, error)}") from error
    except ValidationError as error:
        raise ConfigError(f"{origin}: {next(refusals_of(error))}") from error
    paths = {name: folder / path for name in ("corpus", "catalog") if (path := getattr(app, name)) is not None}
    if app.encoder.startswith(".") or "/" in app.encoder:
        app = app.model_copy(update={"encoder": str(folder / Path(app.encoder).expanduser())})
    if app.entities is not None:
        located = {name: folder / getattr(app.entities, name) for name in ("names", "corpus")}
        app = app.model_copy(update={"entities": app.entities.model_copy(update=located)})
    heads = tuple(_with_list(head, folder) for head in app.heads)
    slots = {name: slot.model_copy(update=_under(folder, slot, ("names",))) for name, slot in app.slots.items()}
    app = app.model_copy(
        update={
            **paths,
            "slots": slots,
            "heads": heads,
            "receivers": tuple(_located(one, folder) for one in app.receivers),
        }
    )
    app._given_as = given_as
    return app


def refusals(text: str) -> tuple[Refusal, ...]:
    """All that keeps a file's text from being an application, where `parse_application` names the first; none: it is
    one."""
    try:
        Application.model_validate(tomllib.loads(text.removeprefix("\ufeff")))
    except tomllib.TOMLDecodeError as error:
        return (Refusal("", f"this is no valid TOML: {error}{toml_hint(text, error)}"),)
    except ValidationError as error:
        return tuple(refusals_of(error))
    return ()


def _with_list(head: HeadSpec, folder: Path) -> HeadSpec:
    """Its list of good and bad words as it stands from here, where that is a file."""
    if head.polarity is None or not head.polarity.endswith(".toml"):
        return head
    return head.model_copy(update={"polarity": str(folder / head.polarity)})


def _located(receiver: ReceiverSpec, folder: Path) -> ReceiverSpec:
    names = ("url_file", "secret_file", "password_file")
    return receiver.model_copy(update=_under(folder, receiver, names))


def _under(folder: Path, table: BaseModel, names: Sequence[str]) -> dict[str, Path]:
    """A table's paths as they stand from here; what is not given is left out."""
    return {name: folder / path for name in names if (path := getattr(table, name)) is not None}


def labels_without_use(app: Application, labels: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What the file says about labels that a model never gives: a misspelt one never acts. labels: of the model, by
    head."""
    labels = _with_none(app, labels)
    primary = labels.get(app.head_names[0], ()) if app.heads else ()
    for table, label in _routed(app):
        if label not in primary:
            yield f"[{table}] names {label!r}, {_not_decided(label, primary)}"
    for head, label in _prioritised(app):
        given = labels.get(head, ())
        if label not in given:
            never = f"[priority] names {label!r} of {head}, which the model never decides"
            yield never + meant_instead(label, given)
    for name, head, label in _asking(app):
        given = labels.get(head, ())
        if label not in given:
            never = f"[slots.{name}] is asked by {label!r} of {head}, which the model never decides"
            yield never + meant_instead(label, given)
    for table, _, head, label in _watched(app):
        given = labels.get(head, ())
        if label not in given:
            never = f"[[{table}]] watches {head} for {label!r}, which the model never decides"
            yield never + meant_instead(label, given)


def _not_decided(label: str, given: Sequence[str]) -> str:
    """A queue or an answer may wait for a label that people are still to give; a slip of a known one never acts."""
    meant = meant_instead(label, given)
    if MEANT in meant:
        return f"which the model never decides{meant}"
    return f"which the model does not decide yet: it learns it from labels that people give, or it is a slip{meant}"


def unknown_labels(app: Application, labels: Mapping[str, Sequence[str]]) -> Iterator[Refusal]:
    """The same before there is a model. labels: of the examples, by head."""
    labels = _with_none(app, labels)
    primary = labels.get(app.head_names[0], ()) if app.heads else ()
    for table, label in _routed(app):
        if label not in primary:
            yield Refusal(f"{table}.{label}", f"no example has this label{meant_instead(label, primary)}")
    for head, label in _prioritised(app):
        given = labels.get(head, ())
        if label not in given:
            yield Refusal(
                "priority.table", f"no example has the label {label!r} for {head}{meant_instead(label, given)}"
            )
    for name, head, label in _asking(app):
        given = labels.get(head, ())
        if label not in given:
            said = f"no example has the label {label!r} for {head}{meant_instead(label, given)}"
            yield Refusal(f"slots.{name}.asked_by", said)
    for table, number, head, label in _watched(app):
        given = labels.get(head, ())
        if label not in given:
            said = f"no example has the label {label!r} for {head}{meant_instead(label, given)}"
            yield Refusal(f"{table}.{number}", said)


def _with_none(app: Application, labels: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """A head that may give several labels may say that none of them holds."""
    return {head: (*given, NONE) if head in app.multi_heads else given for head, given in labels.items()}


def _routed(app: Application) -> Iterator[tuple[str, str]]:
    """Table and label, of the primary head."""
    titles = {} if app.choices is None else app.choices.titles
    for table, named in (("queues", app.queues), ("answers", app.answers), ("choices.titles", titles)):
        for label in named:
            yield table, label


def _prioritised(app: Application) -> Iterator[tuple[str, str]]:
    """Head and label, of the table `[priority]`."""
    if app.priority is None:
        return
    columns = dict.fromkeys(label for row in app.priority.table.values() for label in row)
    for source, labels in ((app.priority.criticality, app.priority.table), (app.priority.impact, columns)):
        if not source.startswith("/"):
            for label in labels:
                yield source, label


def _asking(app: Application) -> Iterator[tuple[str, str, str]]:
    """Slot, head and label."""
    for name, slot in app.slots.items():
        for head, labels in slot.asked_by.items():
            for label in labels:
                yield name, head, label


def _watched(app: Application) -> Iterator[tuple[str, int, str, str]]:
    """Table, number, head and label."""
    for number, escalation in enumerate(app.escalations):
        if escalation.head is not None and escalation.label is not None:
            yield "escalations", number, escalation.head, escalation.label
    for number, surge in enumerate(app.surges):
        yield "surges", number, surge.head, surge.label
    for number, rule in enumerate(app.rules):
        for head, label in labels_named(rule):
            yield "rules", number, head, label
