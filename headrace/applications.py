"""Finding an application: by the name of one that ships with Headrace, or by the path of a TOML file."""

import difflib
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

from headrace.toml_files import read_text
from models.errors import ConfigError
from models.texts.reading import Reading
from retrain.file_columns import FileColumns
from streams.application import Application, ReceiverSpec, parse_application

ALERTMANAGER = "alertmanager"  # the receiver that HEADRACE_ALERTMANAGER makes
SHIPPED = ("support", "finance", "recommend")


def load_application(name_or_path: str) -> Application:
    """`support`, `finance`, `recommend`, or a TOML file of your own. Raises ConfigError saying what there is."""
    path = file_of(name_or_path)
    return parse_application(read_text(path), path.parent, str(path), name_or_path)


def file_of(name_or_path: str) -> Path:
    """An application's file. Raises ConfigError saying what there is."""
    path = Path(name_or_path)
    if name_or_path in SHIPPED:
        return Path(str(files("apps"))) / f"{name_or_path}.toml"
    if not path.is_file():
        beside = f"{name_or_path}.toml"
        near = [beside] if Path(beside).is_file() else difflib.get_close_matches(name_or_path, SHIPPED, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"no application {name_or_path!r}: give one of {', '.join(SHIPPED)} or the path of a TOML file{hint}"
        )
    return path


def application_name(name_or_path: str) -> str:
    """What decisions and alerts call an application: the name in its TOML file, or the name as it is given, as the
    store and topics may hold applications whose file is not here. Raises ConfigError for a TOML file that is none."""
    if name_or_path in SHIPPED or not (Path(name_or_path).suffix == ".toml" or Path(name_or_path).is_file()):
        return name_or_path
    return load_application(name_or_path).name


def load_applications(names: list[str]) -> list[Application]:
    """Several applications. Raises ConfigError when two share a name or a topic, or one reads what another writes."""
    apps = [load_application(name) for name in names]
    written = {topic: app for app in apps for topic in app.own_topics}
    for app in apps:
        for topic in app.source_topics:
            if topic in written:
                raise ConfigError(f"{app.given_as} reads {topic}, which {written[topic].given_as} writes: a circle")
    for what, values in (
        ("name", [app.name for app in apps]),
        ("topic", [topic for app in apps for topic in app.source_topics]),
    ):
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise ConfigError(
                f"two applications have the same {what} {twice.pop()!r}; start them in processes of their own"
            )
    return apps


def with_alertmanager(app: Application, address: str) -> Application:
    """An application whose alerts go to this Alertmanager as well. address: empty: to none."""
    if not address or app.kind != "classify":
        return app
    own = ReceiverSpec(name=ALERTMANAGER, kind="alertmanager", url=address, least="info")
    others = tuple(receiver for receiver in app.receivers if receiver.name != ALERTMANAGER)
    return app.model_copy(update={"receivers": (*others, own)})


def load_classifying_application(name_or_path: str) -> Application:
    """An application with labels. Raises ConfigError for one that ranks items."""
    application = load_application(name_or_path)
    if application.kind != "classify":
        raise ConfigError(
            f"{application.name} ranks items and has no labels to train; its lists learn from clicks by themselves"
        )
    return application


def reading_of(app: Application) -> Reading:
    """How texts are read, out of records and files alike."""
    return Reading(app.source.markup, app.privacy.regions if app.privacy.mask else None)


def columns_of(app: Application) -> FileColumns:
    """What an application's file says of the columns of labelled files, and of how their texts are read."""
    labels = {head.name: head.column for head in app.heads}
    return FileColumns(labels, app.text_column, app.title_column, reading_of(app))


def text_mask(app: Application) -> Callable[[str], str]:
    """What may leave of an application's texts: all, or what is left where personal data is masked."""
    if not app.masks_personal_data:
        return lambda text: text
    from models.personal_data import mask_personal_data

    return partial(mask_personal_data, regions=app.privacy.regions)
