"""An application: which topic it reads, how a record is shaped, what its heads are called, what a decision leads to.

`[source]` uses JSON pointers (RFC 6901), so other people's records need no change and no Python.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from models.errors import ConfigError
from streams.daily_hours import DailyHours
from streams.release_watch.settings import ReleaseSettings
from streams.rule_specs import KINDS, Rule, heads_named, labels_named
from streams.signal_specs import DETECTOR_KINDS, USUAL_SIGNALS, DriftSignal
from streams.topics import SHARED_TOPICS, SOURCE_MAX_BYTES

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
BY_SYMBOLS = "symbols"


def _check_topic(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", name) or name in (".", ".."):
        raise ValueError(
            f"{name!r} cannot be a topic's name: 1 to 200 letters, digits, `.`, `_` and `-`, not `.` or `..`"
        )
    return name


def _check_pointer(pointer: str) -> str:
    if pointer and not pointer.startswith("/"):
        parts = re.split(r"[./]", pointer.removeprefix("$").strip("./"))
        raise ValueError(
            f"{pointer!r} is no JSON pointer (RFC 6901), which begins with `/`: write {'/' + '/'.join(parts)!r}"
        )
    if re.search(r"~(?![01])", pointer):
        written = re.sub(r"~(?![01])", "~0", pointer)
        raise ValueError(
            f"{pointer!r} is no JSON pointer (RFC 6901): a `~` in a name is written `~0`: write {written!r}"
        )
    return pointer


Topic = Annotated[str, AfterValidator(_check_topic)]
Pointer = Annotated[str, AfterValidator(_check_pointer)]


SHAPE = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Source(BaseModel):
    """Where text, key and time stand in a record of the topic."""

    model_config = SHAPE

    format: Literal["json", "text"] = "json"
    """`json`: a record is JSON and the pointers below say where things stand; `text`: the whole value is the text."""
    text: Pointer = "/text"
    """JSON pointer to the text; `""`: the record itself is a JSON string."""
    key: Pointer | None = None
    """JSON pointer to what a decision belongs to (a conversation, a customer); without it the record's own key."""
    at: Pointer | None = "/at"
    """JSON pointer to the time of the event: RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since
    1970; else the record's own."""
    keep: Literal["named", "all", "none"] | tuple[Pointer, ...] = "named"
    """Which other fields of a record stand in its decision's `extra`: those that this table names (`symbols`, `item`,
    …), `all`, `none`, or a list of JSON pointers such as `["/channel"]`. They are copied into every decision and its
    store."""
    max_age_days: float = Field(default=366, gt=0, le=36_525)
    """A record older than that when it is read, or an event that much older than its record, is not believed: the next
    best known time stands instead and `extra` says so. Wider for history that is loaded live."""
    max_ahead_days: float = Field(default=1, gt=0, le=366)
    """The same for times ahead of when the record was read or written."""
    max_bytes: int = Field(default=SOURCE_MAX_BYTES, ge=1)
    """A larger value, as it is when unpacked, is not read: it becomes a dead letter with the reason `too_large`."""
    symbols: Pointer | None = None
    """JSON pointer to a list (or a text of words) that surges can be grouped by, such as the symbols of a news item."""
    segments: dict[Name, Pointer] = Field(default={}, max_length=8)
    """JSON pointers to fields that drift is told by, such as `{channel = "/channel", group = "/customer/group"}`: an
    episode says in which of their values it happens. Few values each: fields of more than 50 say nothing."""
    user: Pointer = "/user_id"
    """`recommend` only: JSON pointer to the user of an event."""
    item: Pointer = "/item_id"
    """`recommend` only: JSON pointer to the item that the event is about."""
    action: Pointer = "/action"
    """`recommend` only: JSON pointer to what the user did: view, click, cart, purchase, share or comment."""


class HeadSpec(BaseModel):
    """A question asked of each text."""

    model_config = SHAPE

    name: Name
    """What the answer is called in decisions, such as `intent`."""
    column: str = Field(min_length=1)
    """The column of its labels in the corpus and in files for training."""


class Surge(BaseModel):
    """An alert when a label takes too large a share of the last texts."""

    model_config = SHAPE

    head: str
    """The head that gives the label."""
    label: str
    """The label to watch."""
    share: float = Field(gt=0, le=1)
    """The share, 0 to 1, of the last `window` texts at which the alert fires."""
    window: int = Field(default=100, ge=10)
    """How many texts are looked at."""
    by: str | None = None
    """Count apart for each label of this other head, or for each of the record's `symbols`."""


class Labelling(BaseModel):
    """Which decisions people are asked about (`docs/labels.md`)."""

    model_config = SHAPE

    random_share: float = Field(default=0.005, ge=0, le=1)
    """The share of all decisions that is drawn at random for labelling, 0 to 1: only these labels say how often
    decisions are right."""
    random_per_day: int = Field(default=20, ge=0)
    """At least so many of a day are drawn, where there are as many."""
    episode_share: float = Field(default=0.25, ge=0, le=1)
    """The share of an open drift episode's texts that is drawn at random, 0 to 1: these labels say whether a new
    release is better at them."""
    person_label_share: float = Field(default=0.5, gt=0, lt=1)
    """One person's labels are at most this share of what a label is trained on, the corpus included; the others wait
    until somebody else says the same, of them or of a sample. Nothing of it where one person gives all labels, little
    where others give few."""
    person_share: float = Field(default=1 / 3, gt=0, lt=1)
    """The same of all that is trained on."""


class Retraining(BaseModel):
    """When a better model is asked for, and what its training may use (`docs/training.md`)."""

    model_config = SHAPE

    after_episode: int = Field(default=40, ge=1)
    """Labels that are enough once drift was found, where enough of them are of wrong decisions drawn at random for the
    gate to tell a better model by (67 for the first challenger)."""
    without_episode: int = Field(default=500, ge=1)
    """Labels that are enough by themselves."""
    per_label: int = Field(default=8, ge=1)
    """So often one label must have come before an episode leads to a training."""
    cool_down_minutes: float = Field(default=0, ge=0, le=5 * 24 * 60)
    """No request sooner than that after the one before."""
    per_day: int = Field(default=24, ge=1)
    """At most so many requests within 24 hours."""
    hours: str = ""
    """When trainings may be asked for, such as `22:00-06:00`; empty: at any time."""
    time_zone: str = "UTC"
    """Of `hours`: a name such as `Europe/Berlin`."""
    strategy: Literal["quick", "full"] = "quick"
    """How the challenger is trained: `quick` on the champion's encoder, `full` fine-tunes the configured one (extra
    `train`)."""
    max_label_age_days: float | None = Field(default=None, gt=0)
    """Labels that were given longer ago take no part; unset: all that stand."""
    max_texts_per_label: int = Field(default=2_000, ge=10)
    """Of the labelled decisions so many texts of a label train, the newest ones: what is frequent outweighs nothing
    else."""
    cores: int = Field(default=0, ge=0)
    """How many cores a training may use; 0: half of those that the process may use, at least one."""
    niceness: int = Field(default=19, ge=0, le=19)
    """How far a training steps back behind other processes: 19: it takes what they leave, next to nothing on a busy
    machine; 0: it is as any other."""
    memory_mb: int = Field(default=0, ge=0)
    """A training that needs more is ended, and the champion goes on; 0: no limit."""
    max_minutes: float = Field(default=180, gt=0)
    """A training that takes longer is ended, and the champion goes on."""

    @model_validator(mode="after")
    def _hours_can_be_read(self) -> "Retraining":
        DailyHours.of(self.hours or "00:00-24:00", self.time_zone)
        return self


class Drift(BaseModel):
    """How much a drift episode weighs, by what it costs (`docs/drift.md`)."""

    model_config = SHAPE

    note_below_errors_per_hour: float = Field(default=1.0, ge=0)
    """An episode that is estimated to cost fewer wrong decisions an hour in addition is a note (severity `info`)."""
    critical_from_errors_per_hour: float = Field(default=100.0, gt=0)
    """One that costs so many or more is `critical`; in between it is a `warning`."""
    signals: tuple[DriftSignal, ...] = USUAL_SIGNALS
    """The tables `[[drift.signals]]`: what is watched beside the embeddings, each by a change detector; `[]`: nothing.
    Default: length, language, unknown_share, duplicates, confidence and out_of_scope, by `ranks`."""

    @model_validator(mode="after")
    def _signals_have_names_of_their_own(self) -> "Drift":
        titles = [signal.title for signal in self.signals]
        twice = next((title for title in titles if titles.count(title) > 1), None)
        if twice is not None:
            raise ValueError(f"two [[drift.signals]] are called {twice!r}: give each a name of its own")
        return self


class ReceiverSpec(BaseModel):
    """Who is told of this application's alerts (`docs/alerts.md`)."""

    model_config = SHAPE

    name: Name
    """What it is called in logs, metrics and `alerts.told`."""
    kind: Literal["log", "webhook", "alertmanager", "slack", "email"]
    """How it is told."""
    url: str = ""
    """`webhook`, `alertmanager`: where it is."""
    url_file: Path | None = None
    """`slack`, `webhook`: a file that holds the URL, where that is a secret; relative to this file."""
    secret_file: Path | None = None
    """`webhook`: a file that holds what both sides sign with."""
    server: str = ""
    """`email`: `host:port` of the mail server."""
    tls: Literal["starttls", "tls", "off"] = "starttls"
    """`email`: how the connection is encrypted; `off` only to a host that HEADRACE_ALERT_HOSTS names."""
    user: str = ""
    """`email`: who signs in."""
    password_file: Path | None = None
    """`email`: a file that holds the password."""
    sender: str = ""
    """`email`: from whom."""
    recipients: tuple[str, ...] = ()
    """`email`: to whom."""
    least: Literal["info", "warning", "critical"] = "warning"
    """Alerts of less weight are not told."""
    rules: tuple[str, ...] = ()
    """Only alerts of these rules (`drift`, `surge`, `release_refused`, …) are told; empty: all."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "ReceiverSpec":
        needed = {
            "webhook": bool(self.url) != (self.url_file is not None),
            "alertmanager": bool(self.url),
            "slack": self.url_file is not None,
            "email": bool(self.server and self.sender and self.recipients),
        }
        wanted = {
            "webhook": "url or url_file",
            "alertmanager": "url",
            "slack": "url_file (the URL is a secret)",
            "email": "server, sender and recipients",
        }
        if not needed.get(self.kind, True):
            raise ValueError(f"a receiver of kind {self.kind!r} needs {wanted[self.kind]}")
        return self


class Application(BaseModel):
    """One TOML file. The first head is the primary one: it carries the out-of-scope score and the queue."""

    model_config = SHAPE

    _given_as: str | None = PrivateAttr(default=None)

    name: Name
    """Names the model, the consumer groups and the topics `decisions.<name>`, `signals.<name>`, `trials.<name>`."""
    kind: Literal["classify", "recommend"] = "classify"
    """`classify`: labels for texts; `recommend`: a ranked list of items for user events."""
    topic: Topic
    """The topic to read."""
    partitions: int = Field(default=4, ge=1)
    """Partitions of the topics that Headrace creates for it."""
    corpus: Path | None = None
    """A labelled CSV, relative to this file, from which a first model is trained where there is none."""
    catalog: Path | None = None
    """`recommend` only: a CSV of items, relative to this file."""
    source: Source = Source()
    """The table `[source]`."""
    heads: tuple[HeadSpec, ...] = ()
    """The tables `[[heads]]`, the primary head first."""
    queues: dict[str, str] = {}
    """The table `[queues]`: label of the primary head to the queue that a decision's `action` names."""
    answers: dict[str, str] = {}
    """The table `[answers]`: label of the primary head to a ready answer, which `headrace classify` shows."""
    surges: tuple[Surge, ...] = ()
    """The tables `[[surges]]`."""
    rules: tuple[Rule, ...] = ()
    """The tables `[[rules]]`: what else is an alert (`docs/alerts.md`)."""
    mask_personal_data: bool = False
    """Whether card numbers, IBANs, e-mail addresses and phone numbers are masked in what `headrace labels` shows and
    exports, and in what alerts' receivers are told."""
    receivers: tuple[ReceiverSpec, ...] = ()
    """The tables `[[receivers]]`: who is told of alerts."""
    runbook: str = ""
    """A page that says what to do; alerts name it."""
    labelling: Labelling = Labelling()
    """The table `[labelling]`."""
    drift: Drift = Drift()
    """The table `[drift]`."""
    release: ReleaseSettings = ReleaseSettings()
    """The table `[release]`."""
    retraining: Retraining = Retraining()
    """The table `[retraining]`."""
    human_queue: str = "people"
    """The queue of texts that are rejected as out of scope, and of labels that `[queues]` does not name."""
    false_alarm_every: int = Field(default=100_000, ge=1_000)
    """How many events of an unchanged stream lie between two false drift alarms, on average (`docs/drift.md`)."""
    priority_topics: tuple[Topic, ...] = ()
    """Read as well, and decided before what waits from `topic`."""
    fast_path: Literal["on", "off"] = "on"
    """Whether n-grams alone may decide where the release says they are sure (`docs/fast_path.md`)."""
    cache_texts: int = Field(default=10_000, ge=0)
    """Answers remembered for texts that come again; 0 switches it off."""
    deadline_seconds: float | None = Field(default=None, gt=0)
    """An event that is taken later than that after its record's time is late."""
    when_late: Literal["fast", "deadletter"] = "fast"
    """A late event is decided by the n-grams alone and marked, or becomes a dead letter with the reason `late`."""
    max_dead_letter_share: float = Field(default=0.5, gt=0, le=1)
    """Of the last 1,000 events; above it a worker stops; 1: never."""

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> "Application":
        if self.kind == "classify" and not self.heads:
            raise ValueError('a "classify" application needs at least one [[heads]]')
        if self.kind == "recommend" and self.catalog is None:
            raise ValueError('a "recommend" application needs catalog = "items.csv"')
        return self

    @model_validator(mode="after")
    def _topics_make_no_circle(self) -> "Application":
        own = (self.decisions_topic, self.signals_topic, self.trials_topic, *SHARED_TOPICS)
        for topic in self.source_topics:
            if topic in own:
                raise ValueError(f"{topic!r} is written by Headrace itself: read the topic that other programs write")
        twice = next((topic for topic in self.source_topics if self.source_topics.count(topic) > 1), None)
        if twice is not None:
            raise ValueError(
                f"{twice!r} stands twice among topic and priority_topics: each of its events would be decided twice"
            )
        return self

    @model_validator(mode="after")
    def _receivers_have_names_of_their_own(self) -> "Application":
        names = [receiver.name for receiver in self.receivers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two [[receivers]] are called {twice!r}")
        return self

    @model_validator(mode="after")
    def _heads_that_are_named_exist(self) -> "Application":
        twice = next((name for name in self.head_names if self.head_names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two [[heads]] are called {twice!r}")
        for number, surge in enumerate(self.surges):
            if surge.head not in self.head_names:
                raise ValueError(
                    f"surges.{number}.head: there is no head {surge.head!r}{_instead(surge.head, self.head_names)}"
                )
            if surge.by is not None and surge.by not in (*self.head_names, BY_SYMBOLS):
                names = (*self.head_names, BY_SYMBOLS)
                raise ValueError(f"surges.{number}.by: there is no head {surge.by!r}{_instead(surge.by, names)}")
            if surge.by == BY_SYMBOLS and self.source.symbols is None:
                raise ValueError(f'surges.{number}.by: "symbols" needs a pointer to them: symbols = "/..." in [source]')
        return self

    @model_validator(mode="after")
    def _rules_fit(self) -> "Application":
        titles = [rule.title for rule in self.rules]
        for number, rule in enumerate(self.rules):
            where = f"rules.{number}"
            if titles.count(rule.title) > 1:
                raise ValueError(f"{where}: two [[rules]] are {rule.title!r}: give each a name of its own")
            if self.kind != "classify":
                raise ValueError(f"{where}: rules watch applications that classify")
            for field, head in heads_named(rule):
                may_be_symbols = field == "by"
                if head == BY_SYMBOLS and may_be_symbols:
                    if self.source.symbols is None:
                        raise ValueError(
                            f'{where}.{field}: "symbols" needs a pointer to them: symbols = "/..." in [source]'
                        )
                elif head not in self.head_names:
                    names = (*self.head_names, BY_SYMBOLS) if may_be_symbols else self.head_names
                    raise ValueError(f"{where}.{field}: there is no head {head!r}{_instead(head, names)}")
        return self

    @property
    def given_as(self) -> str:
        """What a command takes for it: the name of one that ships, else the path of its file as it was given."""
        return self._given_as or self.name

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of all heads, the primary one first."""
        return tuple(head.name for head in self.heads)

    @property
    def source_topics(self) -> tuple[str, ...]:
        """All topics that it reads."""
        return (self.topic, *self.priority_topics)

    @property
    def trials_topic(self) -> str:
        """Where canaries and shadows say what they would have decided."""
        return f"trials.{self.name}"

    @property
    def decisions_topic(self) -> str:
        """Where decisions of this application go."""
        return f"decisions.{self.name}"

    @property
    def signals_topic(self) -> str:
        """Where what the monitor needs goes; one partition."""
        return f"signals.{self.name}"


TABLES: Mapping[str, type[BaseModel]] = {
    "source": Source,
    "heads": HeadSpec,
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
                yield f"[{table}] names {label!r}, which the model never decides{_instead(label, primary)}"
    watched = [("surges", surge.head, surge.label) for surge in app.surges]
    watched += [("rules", head, label) for rule in app.rules for head, label in labels_named(rule)]
    for table, head, label in watched:
        given = labels.get(head, ())
        if label not in given:
            yield f"[[{table}]] watches {head} for {label!r}, which the model never decides{_instead(label, given)}"


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
        return f"{where}: {asked}: {', '.join(kinds)}{_instead(given, list(kinds)) if given else ''}"
    if first["type"] == "extra_forbidden":
        table = TABLES.get(str(first["loc"][0]), Application) if len(first["loc"]) > 1 else Application
        table = kinds[tag] if tag else table
        said = f"there is no such field{_instead(str(first['loc'][-1]), list(table.model_fields))}"
    return f"{where}: {said}" if where else said


def _instead(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are: {', '.join(known)}" if 0 < len(known) <= 12 else ""
