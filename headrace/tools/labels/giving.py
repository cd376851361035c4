"""Labels into `feedback.labels`: each checked against what the model knows, and confirmed before it counts as taken."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from connectors.errors import TopicMismatch
from connectors.ports import Document, Publisher
from connectors.table_files import Reject
from headrace.label_files import PRIMARY
from headrace.releases.references import labels_of
from headrace.terminal import some_of
from headrace.tools.labels.second_opinions import confirmable
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models import label_sets
from models.errors import ConfigError, HeadraceError, MessageError, TrainingDataError
from models.label_sets import unknown_in
from retrain.text_keys import is_held_out
from streams.clock import wall_clock_ms
from streams.topics import DOUBTS_TOPIC, FEEDBACK_TOPIC
from streams.wire.feedback import Opinions
from streams.wire.records import Feedback, format_time
from streams.wire.text import clean_text

Chosen = Literal["random", "queue", "correction", "import"]
LABEL_CHARACTERS: Final = 200  # longer ones are texts in the wrong column
FLUSH_LABELS: Final = 500


@dataclass(frozen=True, slots=True)
class NewLabel:
    """decision: as it stands in the store or its topic. head: `PRIMARY` for the first one. line: of a file, else 0.
    probability, stratum: of its draw, where it was drawn at random (see Feedback). confirms: whether its giver means
    what they said before; nothing of it where they had not said it, or no training asks whether they mean it."""

    decision: Document
    head: str
    label: str
    by: str
    line: int = 0
    chosen: Chosen = "correction"
    probability: float | None = None
    confirms: bool = False
    stratum: Literal["episode"] | None = None


@dataclass(slots=True)
class GivenLabels:
    """taken: written and confirmed. unchanged: the same person had said the same already. unasked: they were meant to
    confirm what nobody asks about. unchecked: models whose labels nobody could tell, with the reason."""

    taken: list[Feedback] = field(default_factory=list)
    unchanged: int = 0
    unasked: int = 0
    rejected: list[Reject] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)


class LabelGiver:
    """Gives labels and takes them back. `close` when done."""

    def __init__(self, wiring: Wiring, clock_ms: Callable[[], int] = wall_clock_ms) -> None:
        """Raises BrokerUnavailable, and ConfigError where nobody has made the topic yet."""
        self._wiring, self._clock_ms = wiring, clock_ms
        self._said: dict[tuple[str, str], dict[str, Feedback]] = defaultdict(dict)  # (decision, head) to who says what
        self._known: dict[str, Mapping[str, set[str]] | None] = {}  # model to the labels of its champion, by head
        # (topic of the decision, head) to how many words introduce each label by now
        self._introduced: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._confirmable: set[tuple[str, str, str, str]] | None = None  # read when first needed
        for opinion in self._standing():
            self._note(opinion.feedback)
        self._publisher: Publisher = wiring.publisher()

    def give(
        self, labels: Iterable[NewLabel], *, introduces: bool = False, progress: Callable[[int], None] = lambda _: None
    ) -> GivenLabels:
        """Write those that say something new. introduces: labels that the model does not know are meant to be new; else
        they are rejected."""
        report, waiting = GivenLabels(), list[Feedback]()
        for number, new in enumerate(labels, 1):
            try:
                feedback = self._checked(new, introduces=introduces, report=report)
                if self._stands(feedback):
                    report.unchanged += 1
                else:
                    self._publisher.send(FEEDBACK_TOPIC, feedback.encode(), feedback.key)
                    self._note(feedback)
                    waiting.append(feedback)
            except (ValueError, MessageError) as error:
                report.rejected.append(Reject(new.line, str(error)))
            if len(waiting) >= FLUSH_LABELS:
                self._confirm(waiting, report)
            progress(number)
        self._confirm(waiting, report)
        return report

    def withdraw(self, decision: Document, head: str, by: str) -> Feedback:
        """Take back what a person said of a decision and head. Raises ConfigError where they said nothing."""
        try:
            name = _head(decision, head)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        said = self._said[str(decision["id"]), name]
        if by not in said:
            others = ", ".join(sorted(said)) or "nobody"
            raise ConfigError(
                f"{by} has given {decision['id']} no label of {name} to withdraw ({others} has: --by NAME)"
            )
        mine = said[by]
        self._forget(mine)
        self._publisher.send(FEEDBACK_TOPIC, None, mine.key)
        self._publisher.flush()
        return mine

    def said(self, decision: Document, head: str, by: str) -> Feedback | None:
        """What a person says of a decision and head by now."""
        return self._said[str(decision["id"]), _head(decision, head)].get(by)

    def put_back(self, before: Feedback) -> None:
        """What a person said before stands again, as they said it: its time and why they were asked included."""
        if self._said[before.decision_id, before.head].get(before.by) != before:
            self._publisher.send(FEEDBACK_TOPIC, before.encode(), before.key)
            self._publisher.flush()
            self._note(before)

    def known_labels(self, decision: Document, head: str = PRIMARY) -> list[str]:
        """Labels that can be given without introducing one, sorted; none where nobody can tell."""
        return sorted(self._known_labels(decision, _head(decision, head), GivenLabels()) or ())

    def close(self) -> None:
        """Release connections."""
        self._publisher.close()

    def _standing(self) -> Opinions:
        opinions, reader = Opinions(on_refused=lambda record, error: None), self._wiring.reader()
        try:
            for record in reader.read(FEEDBACK_TOPIC):
                opinions.take(record)
        except TopicMismatch as error:
            raise ConfigError(
                f"there is no topic {FEEDBACK_TOPIC}: `headrace up APP` makes it, with all others of Headrace's own"
            ) from error
        finally:
            reader.close()
        return opinions

    def _confirm(self, waiting: list[Feedback], report: GivenLabels) -> None:
        if waiting:
            self._publisher.flush()
            report.taken += waiting
            waiting.clear()

    def _checked(self, new: NewLabel, *, introduces: bool, report: GivenLabels) -> Feedback:
        """Raises ValueError saying what is wrong with it."""
        head, label = _head(new.decision, new.head), clean_text(new.label).strip()
        if not label or len(label) > LABEL_CHARACTERS or not label.isprintable():
            raise ValueError(f"{label[:40]!r} is no label: 1 to {LABEL_CHARACTERS} characters on one line")
        known = self._known_labels(new.decision, head, report)
        if gives_several(new.decision, head):
            label = _canonical(label)
            strangers = [] if known is None else unknown_in(label, known)
        else:
            strangers = [] if known is None or label in known else [label]
        is_new = bool(strangers)
        if is_new and not introduces:
            raise ValueError(_unknown(strangers[0], head, sorted(known or ())))
        mine = self._said[str(new.decision["id"]), head].get(new.by)
        # it stays drawn, whatever its person says later; a draw from all of the stream says more than one from a part
        is_wider = new.chosen == "random" and new.stratum is None
        drawn = mine if mine is not None and mine.chosen == "random" and not is_wider else new
        before = mine if mine is not None and mine.label == label else None
        confirms = before is not None and bool(before.confirms)
        if before is not None and new.confirms and not confirms:
            confirms = self._is_asked_about(before)
            report.unasked += not confirms
        return Feedback(
            decision_id=new.decision["id"],
            head=head,
            label=label,
            by=new.by,
            at=format_time(self._clock_ms()),
            first_at=None if before is None else before.first_at or before.at,
            introduces=True if is_new or (before is not None and before.introduces) else None,
            chosen=drawn.chosen,
            probability=drawn.probability,
            stratum=drawn.stratum,
            tests=None if new.decision.get("text") is None else is_held_out(str(new.decision["text"])),
            decided=_decided(new.decision, head),
            confirms=True if confirms else None,
        )

    def _known_labels(self, decision: Document, head: str, report: GivenLabels) -> set[str] | None:
        """Those of the release that serves, and those that somebody has introduced since; None where nobody can
        tell."""
        model = str(decision["model"])
        if model not in self._known:
            try:
                registry = self._wiring.registry()
                version = registry.champion(model) or decision["version"]
                of_heads = labels_of(registry.manifest(model, version))
                self._known[model] = {name: set(labels) for name, labels in of_heads.items()}
            except HeadraceError as error:
                self._known[model], report.unchecked[model] = None, str(error)
        heads = self._known[model]
        if heads is None:
            return None
        introduced = {label for label, words in self._introduced[_topic(decision["id"]), head].items() if words > 0}
        if gives_several(decision, head):
            introduced = {label for text in introduced for label in label_sets.labels_of(text)} | {label_sets.NONE}
        return heads.get(head, set()) | introduced

    def _stands(self, feedback: Feedback) -> bool:
        mine = self._said[feedback.decision_id, feedback.head].get(feedback.by)
        if mine is None or mine.label != feedback.label or (feedback.confirms and not mine.confirms):
            return False
        # that it was asked about is new
        return feedback.chosen != "random" or mine.is_of_the_stream or feedback.stratum == mine.stratum == "episode"

    def _is_asked_about(self, said: Feedback) -> bool:
        """Whether a training asks its giver if they mean it. What only another person can bring back is not confirmed:
        it would be taken for settled, and nothing of it would count."""
        if self._confirmable is None:
            self._confirmable = confirmable(all_records(self._wiring, DOUBTS_TOPIC))
        return (said.decision_id, said.head, said.label, said.by) in self._confirmable

    def _note(self, feedback: Feedback) -> None:
        said = self._said[feedback.decision_id, feedback.head]
        if feedback.by in said:
            self._forget(said[feedback.by])
        said[feedback.by] = feedback
        if feedback.introduces:
            self._introduced[_topic(feedback.decision_id), feedback.head][feedback.label] += 1

    def _forget(self, feedback: Feedback) -> None:
        """It stands no more, and a label that it alone introduced is unknown again: as after a restart."""
        del self._said[feedback.decision_id, feedback.head][feedback.by]
        if feedback.introduces:
            self._introduced[_topic(feedback.decision_id), feedback.head][feedback.label] -= 1


def _decided(decision: Document, head: str) -> str | None:
    answer = decision["labels"].get(head)
    label = answer.get("label") if isinstance(answer, dict) else None
    return label if isinstance(label, str) else None


def gives_several(decision: Document, head: str) -> bool:
    """Whether the head that decided it gives several labels: then a label is a set of them, `|` between."""
    answer = (decision.get("labels") or {}).get(head)
    return isinstance(answer, dict) and answer.get("labels") is not None


def _canonical(label: str) -> str:
    try:
        return label_sets.canonical(label)
    except TrainingDataError as error:
        raise ValueError(str(error)) from error


def _topic(decision_id: str) -> str:
    return decision_id.partition("@")[0]


def _head(decision: Document, head: str) -> str:
    """Raises ValueError for one that did not decide this."""
    heads = list(decision.get("labels") or ())
    if not heads:
        if decision.get("items") is None:
            raise ValueError(f"{decision['id']} has no words, so there is nothing to label")
        raise ValueError(f"{decision['id']} is a ranked list, not a label: it learns from what its user does next")
    if head != PRIMARY and head not in heads:
        raise ValueError(f"{decision['id']} has no head {head!r}; it has: {', '.join(heads)}")
    return head or heads[0]


def _unknown(label: str, head: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(label, known, n=1)
    meant = f"did you mean {near[0]!r}?" if near else f"there are: {some_of(known, 12)};"
    return f"the model knows no label {label!r} of {head}; {meant} --new introduces it"
