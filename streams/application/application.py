"""An application as a whole, and what its tables owe each other."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, PrivateAttr, model_validator

from streams.application.alerting import Drift, ReceiverSpec, Surge
from streams.application.answering import AnswerBankSpec
from streams.application.conversations import Choices, Conversations, Escalation
from streams.application.hand_over import HandOver
from streams.application.labelling import Labelling, Rejection, Retraining
from streams.application.names import BY_ENTITIES, BY_SYMBOLS, SHAPE, Name, Queue, Topic, meant_instead
from streams.application.recommending import Recommending
from streams.application.routing import Opening, Priority, ServiceLevel
from streams.application.slots import Privacy, SlotSpec
from streams.application.source import Entities, HeadSpec, LongTextsSpec, Pictures, Source
from streams.application.stories import Stories
from streams.application.words import refuse_places_nobody_fills
from streams.release_watch.settings import ReleaseSettings
from streams.rule_specs import Rule, heads_named
from streams.topics import SHARED_TOPICS

WEEKS = 52  # within which an answer is given


class Application(BaseModel):
    """One TOML file. The first head is the primary one: it carries the out-of-scope score and the queue."""

    model_config = SHAPE

    _given_as: str | None = PrivateAttr(default=None)

    name: Name
    """Names the model, the consumer groups and the topics `decisions.<name>`, `signals.<name>`, `trials.<name>`,
    `state.<name>`."""
    kind: Literal["classify", "recommend"] = "classify"
    """`classify`: labels for texts; `recommend`: a ranked list of items for user events."""
    topic: Topic
    """The topic to read."""
    partitions: int = Field(default=4, ge=1)
    """Partitions of the topics that Headrace creates for it."""
    corpus: Path | None = None
    """A labelled CSV, relative to this file, from which a first model is trained where there is none."""
    text_column: str = Field(default="text", min_length=1)
    """What the column of the texts is called, in the corpus and in files for training; `text` is taken where a file has
    none of that name."""
    title_column: str | None = Field(default=None, min_length=1)
    """A column of such files that becomes the texts' first line, which is read as their title (`docs/long_texts.md`).
    A file need not have it."""
    catalog: Path | None = None
    """`recommend` only: a CSV of items, relative to this file."""
    recommend: Recommending = Recommending()
    """The table `[recommend]`: how lists are made."""
    source: Source = Source()
    """The table `[source]`."""
    long_texts: LongTextsSpec | None = None
    """The table `[long_texts]`: whether all of a long text is read, and its title counts more."""
    pictures: Pictures = Pictures()
    """The table `[pictures]`."""
    entities: Entities | None = None
    """The table `[entities]`: what decisions are to say of each company or other thing that a text names."""
    heads: tuple[HeadSpec, ...] = ()
    """The tables `[[heads]]`, the primary head first."""
    queues: dict[str, Queue] = {}
    """The table `[queues]`: label of the primary head to the queue that a decision's `action` names."""
    priority: Priority | None = None
    """The table `[priority]`: how urgent a text is."""
    service_levels: dict[str, ServiceLevel] = {}
    """The tables `[service_levels.QUEUE]`: by when somebody of a queue is to answer."""
    opening: dict[Name, Opening] = {}
    """The tables `[opening.NAME]`: when people are there."""
    slots: dict[Name, SlotSpec] = {}
    """The tables `[slots.NAME]`: values that texts give, and what is asked where one is missing."""
    conversations: Conversations | None = None
    """The table `[conversations]`: whether, and how long, it is known what a conversation's earlier messages were."""
    choices: Choices | None = None
    """The table `[choices]`: what is asked where a message may be about either of two matters."""
    escalations: tuple[Escalation, ...] = ()
    """The tables `[[escalations]]`, of which the first one that holds counts."""
    hand_over: HandOver | None = None
    """The table `[hand_over]`: what customers are told, and when a conversation is people's."""
    privacy: Privacy = Privacy()
    """The table `[privacy]`."""
    answers: dict[str, str] = {}
    """The table `[answers]`: label of the primary head to a ready answer, which `headrace classify` shows, and which
    decisions give where the application has `[answer_bank]`, and customers are told where `[hand_over]
    answers_alone` names the label. `{NAME}` in it becomes the value of `[slots.NAME]`; without that it is not given."""
    answer_bank: AnswerBankSpec | None = None
    """The table `[answer_bank]`: whether decisions give answers, ready ones and those of the bank."""
    surges: tuple[Surge, ...] = ()
    """The tables `[[surges]]`."""
    stories: Stories | None = None
    """The table `[stories]`: whether each item is told which story it belongs to (`docs/stories.md`)."""
    rules: tuple[Rule, ...] = ()
    """The tables `[[rules]]`: what else is an alert (`docs/alerts.md`)."""
    mask_personal_data: bool = False
    """Whether card numbers, IBANs, e-mail addresses and phone numbers are masked in what `headrace labels` shows and
    exports, and in what alerts' receivers are told. `[privacy] mask = true` masks them everywhere."""
    receivers: tuple[ReceiverSpec, ...] = ()
    """The tables `[[receivers]]`: who is told of alerts."""
    runbook: str = ""
    """A page that says what to do; alerts name it."""
    labelling: Labelling = Labelling()
    """The table `[labelling]`."""
    rejection: Rejection = Rejection()
    """The table `[rejection]`."""
    drift: Drift = Drift()
    """The table `[drift]`."""
    release: ReleaseSettings = ReleaseSettings()
    """The table `[release]`."""
    retraining: Retraining = Retraining()
    """The table `[retraining]`."""
    human_queue: Queue = "people"
    """The queue of texts that are rejected as out of scope, and of labels that `[queues]` does not name."""
    false_alarm_every: int = Field(default=100_000, ge=1_000)
    """How many events of an unchanged stream lie between two false drift alarms, on average (`docs/drift.md`)."""
    priority_topics: tuple[Topic, ...] = ()
    """Read as well, and decided before what waits from `topic`."""
    encoder: str = ""
    """What reads its texts: `en`, `zh`, another name that `headrace encoders list` shows, or a folder (`./mine`,
    relative to this file). Empty: what HEADRACE_ENCODER says. A release carries its encoder, so a change holds from the
    next `headrace train` on."""
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
        if self.kind != "classify" and self.entities is not None:
            raise ValueError("[entities] stand in texts that are classified; this application ranks items")
        if self.kind != "classify" and (self.long_texts is not None or self.source.body is not None):
            raise ValueError("[long_texts] and [source] body are for texts that are classified; this one ranks items")
        if self.source.body is not None and self.source.format != "json":
            raise ValueError("[source] body is a pointer into JSON records; these are texts as a whole")
        if self.kind != "classify" and self.stories is not None:
            raise ValueError("[stories] are told by texts that are classified; this application ranks items")
        return self

    @model_validator(mode="after")
    def _pictures_stand_somewhere(self) -> "Application":
        if "pictures" in self.model_fields_set and self.source.picture is None:
            raise ValueError('[pictures] needs a pointer to them: picture = "/..." in [source]')
        if self.source.picture is not None and (self.kind != "classify" or self.source.format != "json"):
            raise ValueError("[source] picture: pictures stand beside texts that are classified, in JSON records")
        return self

    @model_validator(mode="after")
    def _topics_make_no_circle(self) -> "Application":
        own = (*self.own_topics, *SHARED_TOPICS)
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
        taught_by = None if self.entities is None else self.entities.head
        if taught_by is not None and taught_by not in self.head_names:
            raise ValueError(
                f"entities.head: there is no head {taught_by!r}{meant_instead(taught_by, self.head_names)}"
            )
        twice = next((name for name in self.head_names if self.head_names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two [[heads]] are called {twice!r}")
        for number, surge in enumerate(self.surges):
            if surge.head not in self.head_names:
                raise ValueError(
                    f"surges.{number}.head: there is no head {surge.head!r}{meant_instead(surge.head, self.head_names)}"
                )
            if surge.by is not None:
                self._can_group_by(surge.by, f"surges.{number}.by")
        return self

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> "Application":
        if self.kind != "classify" and (self.priority is not None or self.service_levels):
            raise ValueError("[priority] and [service_levels] are for texts that are classified; this one ranks items")
        for field, source in () if self.priority is None else self.priority.said_by.items():
            if not source.startswith("/") and source not in self.head_names:
                meant = meant_instead(source, self.head_names)
                raise ValueError(f"priority.{field}: there is no head {source!r}, and a pointer begins with /{meant}")
        known = [*sorted(self.known_queues), "default"]
        words = sorted(
            {*(() if self.priority is None else self.priority.words)}
            | {rule.priority for rule in self.escalations if rule.priority is not None}
        )
        for queue, level in self.service_levels.items():
            where = f"service_levels.{queue}"
            if queue not in known:
                raise ValueError(f"{where}: nothing goes to this queue{meant_instead(queue, known)}")
            if level.opening is not None and level.opening not in self.opening:
                raise ValueError(
                    f"{where}.opening: there is no table [opening.{level.opening}]"
                    f"{meant_instead(level.opening, list(self.opening))}"
                )
            longest = max([level.response_minutes, level.next_response_minutes or 0, *level.by_priority.values()])
            if level.next_response_minutes is not None and self.conversations is None:
                raise ValueError(f"{where}.next_response_minutes needs the table [conversations]")
            if level.opening is not None and longest > WEEKS * self.opening[level.opening].hours().minutes_a_week:
                raise ValueError(f"{where}: [opening.{level.opening}] is not open for {longest:g} minutes in a year")
            for word in level.by_priority:
                if word not in words:
                    meant = meant_instead(word, words)
                    raise ValueError(f"{where}.by_priority: no text has the priority {word!r}{meant}")
        return self

    @model_validator(mode="after")
    def _slots_are_asked_by_heads(self) -> "Application":
        if self.slots and self.kind != "classify":
            raise ValueError("[slots] stand in texts that are classified; this application ranks items")
        for name, slot in self.slots.items():
            for head in slot.asked_by:
                if head not in self.head_names:
                    meant = meant_instead(head, self.head_names)
                    raise ValueError(f"slots.{name}.asked_by: there is no head {head!r}{meant}")
        return self

    @model_validator(mode="after")
    def _escalations_can_happen(self) -> "Application":
        if self.conversations is not None and self.kind != "classify":
            raise ValueError("[conversations] are of texts that are classified; this application ranks items")
        if self.escalations and self.conversations is None:
            raise ValueError("[[escalations]] look at conversations: write the table [conversations] as well")
        if self.choices is not None and self.conversations is None:
            raise ValueError("[choices] need to know what an answer answers: write the table [conversations] as well")
        reasons = [rule.reason for rule in self.escalations]
        for number, rule in enumerate(self.escalations):
            if reasons.count(rule.reason) > 1:
                raise ValueError(f"escalations.{number}: two rules have the reason {rule.reason!r}")
            if rule.head is not None and rule.head not in self.head_names:
                meant = meant_instead(rule.head, self.head_names)
                raise ValueError(f"escalations.{number}.head: there is no head {rule.head!r}{meant}")
        return self

    @model_validator(mode="after")
    def _answers_are_for_texts(self) -> "Application":
        if self.answer_bank is not None and self.kind != "classify":
            raise ValueError("[answer_bank] answers texts that are classified; this application ranks items")
        return self

    @model_validator(mode="after")
    def _somebody_is_handed_over(self) -> "Application":
        if self.hand_over is None:
            return self
        if self.conversations is None:
            raise ValueError("[hand_over] is of conversations: write the table [conversations] as well")
        for label in self.hand_over.answers_alone:
            if label not in self.answers:
                meant = meant_instead(label, list(self.answers))
                raise ValueError(f"hand_over.answers_alone: [answers] has nothing for {label!r}{meant}")
        if self.hand_over.remind_minutes is not None and not self.service_levels:
            raise ValueError(
                "hand_over.remind_minutes: nothing is promised that one could be reminded of: write "
                "[service_levels.default] with response_minutes"
            )
        return self

    @model_validator(mode="after")
    def _words_for_customers_are_whole(self) -> "Application":
        for name, slot in self.slots.items():
            refuse_places_nobody_fills(f"slots.{name}.ask", slot.ask)
        if self.choices is not None:
            refuse_places_nobody_fills("choices.ask", self.choices.ask, ("first", "second"))
        if self.hand_over is not None:
            refuse_places_nobody_fills("hand_over.says", self.hand_over.says)
        if self.hand_over is not None or self.answer_bank is not None:
            for label, words in self.answers.items():
                refuse_places_nobody_fills(f"answers.{label}", words, tuple(self.slots), are_slots=True)
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
                if field == "by":
                    self._can_group_by(head, f"{where}.{field}")
                elif head not in self.head_names:
                    meant = meant_instead(head, self.head_names)
                    raise ValueError(f"{where}.{field}: there is no head {head!r}{meant}")
        return self

    @model_validator(mode="after")
    def _relevance_is_of_entities(self) -> "Application":
        for table, rules in (("surges", self.surges), ("rules", self.rules)):
            for number, rule in enumerate(rules):
                by = getattr(rule, "by", None) or ()
                if getattr(rule, "relevance_min", None) is not None and BY_ENTITIES not in (
                    (by,) if isinstance(by, str) else by
                ):
                    raise ValueError(
                        f"{table}.{number}.relevance_min: it says which entities count, and this counts by none: add "
                        f'"{BY_ENTITIES}" to its by, or take it out'
                    )
        return self

    @property
    def least_relevance(self) -> float:
        """From where on a text may count for an entity anywhere: in a rule, in a surge, in trends."""
        usual = 0.0 if self.entities is None else self.entities.relevance_min
        return min([usual, *self._own_relevance])

    @property
    def has_own_relevance(self) -> bool:
        """Whether a rule asks for another relevance than the application's."""
        return bool(self._own_relevance)

    @property
    def _own_relevance(self) -> list[float]:
        asked = (getattr(rule, "relevance_min", None) for rule in (*self.surges, *self.rules))
        return [float(least) for least in asked if least is not None]

    def _can_group_by(self, by: str, where: str) -> None:
        """Raises ValueError where texts cannot be counted apart by it."""
        if by == BY_SYMBOLS and self.source.symbols is None:
            raise ValueError(f'{where}: "symbols" needs a pointer to them: symbols = "/..." in [source]')
        if by == BY_ENTITIES and self.entities is None:
            raise ValueError(f'{where}: "entities" needs the table [entities], which says where their names stand')
        names = (*self.head_names, BY_SYMBOLS, BY_ENTITIES)
        if by not in names:
            raise ValueError(f"{where}: there is no head {by!r}{meant_instead(by, names)}")

    @property
    def given_as(self) -> str:
        """What a command takes for it: the name of one that ships, else the path of its file as it was given."""
        return self._given_as or self.name

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of all heads, the primary one first."""
        return tuple(head.name for head in self.heads)

    @property
    def masks_personal_data(self) -> bool:
        """Whether personal data is masked in what people are shown: everywhere, or only there."""
        return self.privacy.mask or self.mask_personal_data

    @property
    def multi_heads(self) -> frozenset[str]:
        """Names of the heads that may give a text several labels."""
        return frozenset(head.name for head in self.heads if head.multi)

    @property
    def known_queues(self) -> frozenset[str]:
        """Every queue that a decision's `action` may name."""
        by_priority = () if self.priority is None else self.priority.queues.values()
        escalated = (rule.queue for rule in self.escalations if rule.queue is not None)
        chain = () if self.hand_over is None else self.hand_over.chain
        return frozenset({*self.queues.values(), *by_priority, *escalated, *chain, self.human_queue})

    @property
    def source_topics(self) -> tuple[str, ...]:
        """All topics that it reads."""
        return (self.topic, *self.priority_topics)

    @property
    def own_topics(self) -> tuple[str, ...]:
        """Those that are written for it alone."""
        own = (self.decisions_topic, self.signals_topic, self.trials_topic, self.answer_bank_topic)
        return (*own, self.stories_topic, self.trends_topic, self.state_topic, *self.dispatch_topics)

    @property
    def trials_topic(self) -> str:
        """Where canaries and shadows say what they would have decided."""
        return f"trials.{self.name}"

    @property
    def decisions_topic(self) -> str:
        """Where decisions of this application go."""
        return f"decisions.{self.name}"

    @property
    def state_topic(self) -> str:
        """Where workers that rank items keep what they know."""
        return f"state.{self.name}"

    @property
    def answers_topic(self) -> str:
        """Where what customers are told goes."""
        return f"answers.{self.name}"

    @property
    def conversations_topic(self) -> str:
        """Where it stands which conversations people have."""
        return f"conversations.{self.name}"

    @property
    def changes_topic(self) -> str:
        """Where people say what they do with conversations."""
        return f"changes.{self.name}"

    @property
    def dispatch_topics(self) -> tuple[str, ...]:
        """Of a dispatcher, beside the decisions."""
        return (self.answers_topic, self.conversations_topic, self.changes_topic)

    @property
    def signals_topic(self) -> str:
        """Where what the monitor needs goes; one partition."""
        return f"signals.{self.name}"

    @property
    def stories_topic(self) -> str:
        """Where it is told which story each item belongs to, by applications with `[stories]`."""
        return f"stories.{self.name}"

    @property
    def trends_topic(self) -> str:
        """Where windows of trends are told, by applications with `[stories]`."""
        return f"trends.{self.name}"

    @property
    def answer_bank_topic(self) -> str:
        """Where the bank of answers stands that workers give answers from; one partition."""
        return f"answers.bank.{self.name}"
