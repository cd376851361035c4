"""From a file's text to an application, or to an error that says what to write."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from models.errors import ConfigError
from streams.application.alerting import Drift, ReceiverSpec, Surge
from streams.application.application import Application
from streams.application.labelling import Labelling, Retraining
from streams.application.names import meant_instead
from streams.application.source import HeadSpec, Pictures, Source
from streams.release_watch.settings import ReleaseSettings
from streams.rule_specs import KINDS, labels_named
from streams.signal_specs import DETECTOR_KINDS

TABLES: Mapping[str, type[BaseModel]] = {
    "source": Source,
    "heads": HeadSpec,
    "pictures": Pictures,
    "surges": Surge,
    "labelling": Labelling,
    "drift": Drift,
    "release": ReleaseSettings,
    "retraining": Retraining,
    "receivers": ReceiverSpec,
}


def parse_application(text: str, folder: Path, origin: str, given_as: str | None = None) -> Application:
    """An application from its TOML text; relative paths in it start at `folder`. Raises ConfigError naming `origin`.
    given_as: what a command takes for it, None for its name."""
    try:
        app = Application.model_validate(tomllib.loads(text.removeprefix("\ufeff")))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin} is no valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_refusal(error)}") from error
    paths = {name: folder / path for name in ("corpus", "catalog") if (path := getattr(app, name)) is not None}
    if app.encoder.startswith(".") or "/" in app.encoder:
        app = app.model_copy(update={"encoder": str(folder / Path(app.encoder).expanduser())})
    app = app.model_copy(update={**paths, "receivers": tuple(_located(one, folder) for one in app.receivers)})
    app._given_as = given_as
    return app


def _located(receiver: ReceiverSpec, folder: Path) -> ReceiverSpec:
    names = ("url_file", "secret_file", "password_file")
    return receiver.model_copy(
        update={name: folder / path for name in names if (path := getattr(receiver, name)) is not None}
    )


def labels_without_use(app: Application, labels: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What the file says about labels that a model never gives: a misspelt one never acts. labels: of the model, by
    head."""
    primary = labels.get(app.head_names[0], ()) if app.heads else ()
    for table, named in (("queues", app.queues), ("answers", app.answers)):
        for label in named:
            if label not in primary:
                yield f"[{table}] names {label!r}, which the model never decides{meant_instead(label, primary)}"
    watched = [("surges", surge.head, surge.label) for surge in app.surges]
    watched += [("rules", head, label) for rule in app.rules for head, label in labels_named(rule)]
    for table, head, label in watched:
        given = labels.get(head, ())
        if label not in given:
            never = f"[[{table}]] watches {head} for {label!r}, which the model never decides"
            yield never + meant_instead(label, given)


def _refusal(error: ValidationError) -> str:
    first = error.errors()[0]
    tagged: dict[str, Mapping[str, type[BaseModel]]] = {"rules": KINDS, "drift": DETECTOR_KINDS}
    kinds = tagged.get(str(first["loc"][0]) if first["loc"] else "", {})
    tag = next((str(part) for part in first["loc"] if part in kinds), "")
    place = [part for part in first["loc"] if part != tag or not tag]
    where = ".".join(str(part) for part in place)
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        given = str(first.get("ctx", {}).get("tag", ""))
        asked = "a rule needs kind, one of" if kinds is KINDS else "a signal's detector is one of"
        return f"{where}: {asked}: {', '.join(kinds)}{meant_instead(given, list(kinds)) if given else ''}"
    if first["type"] == "extra_forbidden":
        table = TABLES.get(str(first["loc"][0]), Application) if len(first["loc"]) > 1 else Application
        table = kinds[tag] if tag else table
        said = f"there is no such field{meant_instead(str(first['loc'][-1]), list(table.model_fields))}"
    return f"{where}: {said}" if where else said
