"""Finding an application: by the name of one that ships with Headrace, or by the path of a TOML file."""

import difflib
from importlib.resources import files
from pathlib import Path

from models.errors import ConfigError
from streams.application import Application, parse_application

SHIPPED = ("support", "finance", "recommend")


def load_application(name_or_path: str) -> Application:
    """`support`, `finance`, `recommend`, or a TOML file of your own. Raises ConfigError saying what there is."""
    path = Path(name_or_path)
    if name_or_path in SHIPPED:
        path = Path(str(files("apps"))) / f"{name_or_path}.toml"
    elif not path.is_file():
        near = difflib.get_close_matches(name_or_path, SHIPPED, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"no application {name_or_path!r}: give one of {', '.join(SHIPPED)} or the path of a TOML file{hint}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return parse_application(text, path.parent, str(path))


def load_applications(names: list[str]) -> list[Application]:
    """Several applications. Raises ConfigError when two share a name or a topic."""
    apps = [load_application(name) for name in names]
    for what, values in (("name", [app.name for app in apps]), ("topic", [app.topic for app in apps])):
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise ConfigError(
                f"two applications have the same {what} {twice.pop()!r}; start them in processes of their own"
            )
    return apps


def load_classifying_application(name_or_path: str) -> Application:
    """An application with labels. Raises ConfigError for one that ranks items."""
    application = load_application(name_or_path)
    if application.kind != "classify":
        raise ConfigError(
            f"{application.name} ranks items and has no labels to train; its lists learn from clicks by themselves"
        )
    return application
