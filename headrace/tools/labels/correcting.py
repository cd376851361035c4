"""`headrace correct`: what a decision, or each row of a file, should have been."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from connectors.ports import Document
from connectors.table_files import Reject
from headrace.applications import columns_of
from headrace.label_files import LabelFile, LabelRow, open_label_file
from headrace.tools.decisions import find_decision
from headrace.tools.labels.finding import decisions_by_id, decisions_by_text
from headrace.tools.labels.giving import Chosen, GivenLabels, LabelGiver, NewLabel
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.figures import moment
from streams.application import Application

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who gives labels, and how. by: where the file does not say. introduces: labels that the model does not know are
    meant to be new. app: whose decisions; None: whose they are by their ids. confirms: labels that they gave before are
    meant, though they are doubted."""

    by: str
    introduces: bool = False
    app: Application | None = None
    chosen: Chosen = "correction"
    confirms: bool = False

    @property
    def app_name(self) -> str | None:
        """For the store."""
        return None if self.app is None else self.app.name


@dataclass(frozen=True, slots=True)
class Known:
    """decisions: by id, as the topics have them. draws: id to probability of those drawn at random. asked_again: (id,
    head, person): who is asked whether they mean what they said."""

    decisions: Mapping[str, Document] = field(default_factory=dict)
    draws: Mapping[str, float] = field(default_factory=dict)
    asked_again: Set[tuple[str, str, str]] = frozenset()


def correct_one(wiring: Wiring, identity: str, head: str, label: str, speaker: Speaker) -> GivenLabels:
    """Give one decision of the store its label. Raises ConfigError where it cannot be taken."""
    return give_one(wiring, _decision(wiring, identity, speaker), head, label, speaker)


def give_one(
    wiring: Wiring, decision: Document, head: str, label: str, speaker: Speaker, probability: float | None = None
) -> GivenLabels:
    """The same for a decision at hand. probability: with which it was drawn at random."""
    giver = LabelGiver(wiring)
    try:
        new = NewLabel(
            decision, head, label, speaker.by, chosen=speaker.chosen, probability=probability, confirms=speaker.confirms
        )
        report = giver.give([new], introduces=speaker.introduces)
    finally:
        giver.close()
    if report.rejected:
        raise ConfigError(report.rejected[0].reason)
    return report


def withdraw_one(wiring: Wiring, identity: str, head: str, speaker: Speaker) -> str:
    """Take back what a person said; returns it in words. Raises ConfigError where they said nothing."""
    decision = _decision(wiring, identity, speaker)
    giver = LabelGiver(wiring)
    try:
        taken_back = giver.withdraw(decision, head, speaker.by)
    finally:
        giver.close()
    return f"{taken_back.head}: {taken_back.label}, by {taken_back.by}, {moment(taken_back.at)}"


def correct_file(wiring: Wiring, path: Path, speaker: Speaker, progress: Progress = lambda *_: None) -> GivenLabels:
    """Give every row's labels; what cannot be taken is rejected with its line. Raises ConfigError for a file of no
    use."""
    app = speaker.app
    with open_label_file(path, *(() if app is None else (app.heads, columns_of(app)))) as file:
        return give_rows(wiring, file, list(file.rows), speaker, progress)


def give_rows(
    wiring: Wiring,
    file: LabelFile,
    rows: Sequence[LabelRow | Reject],
    speaker: Speaker,
    progress: Progress = lambda *_: None,
    known: Known | None = None,
) -> GivenLabels:
    """The same for rows at hand. file: that they came from. known: decisions and draws that are known already."""
    known = known or Known()
    labels, rejected = _new_labels(wiring, file, rows, speaker, known)
    giver = LabelGiver(wiring)
    try:
        report = giver.give(
            labels,
            introduces=speaker.introduces,
            progress=lambda number: progress("giving labels", number, len(labels)),
        )
    finally:
        giver.close()
    report.rejected = sorted([*rejected, *report.rejected], key=lambda reject: reject.line)
    return report


def _decision(wiring: Wiring, identity: str, speaker: Speaker) -> Document:
    store = wiring.store()
    try:
        return find_decision(store, identity, speaker.app_name)
    finally:
        store.close()


def _new_labels(
    wiring: Wiring, file: LabelFile, rows: Sequence[LabelRow | Reject], speaker: Speaker, known: Known
) -> tuple[list[NewLabel], list[Reject]]:
    names = list(dict.fromkeys(row.name for row in rows if isinstance(row, LabelRow)))
    decisions = dict(known.decisions) if file.matched_by == "id" else {}
    missing = [name for name in names if name not in decisions]
    decisions |= _decisions(wiring, file, missing, speaker) if missing else {}
    where = "the store" if file.matched_by == "id" else f"decisions.{speaker.app_name}"
    labels, rejected = list[NewLabel](), list[Reject]()
    for row in rows:
        if isinstance(row, Reject):
            rejected.append(row)
        elif (decision := decisions.get(row.name)) is None:
            rejected.append(Reject(row.line, f"no decision of {file.matched_by} {row.name[:60]!r} is in {where}"))
        else:
            labels += _labels_of(row, decision, speaker, known)
    return labels, rejected


def _labels_of(row: LabelRow, decision: Document, speaker: Speaker, known: Known) -> list[NewLabel]:
    """chosen: at random where the file says so and the draw does as well; a file alone may say what it likes. The same
    of a second opinion: it confirms where its row was exported as one and its giver is asked again; a file of before,
    taken in once more, says nothing new."""
    probability = known.draws.get(str(decision["id"])) if row.is_random else None
    chosen: Chosen = speaker.chosen if probability is None else "random"
    labels = []
    for head, label in row.labels.items():
        by, name = row.by or speaker.by, head or next(iter(decision.get("labels") or ()), "")
        is_asked = row.is_second_opinion and (str(decision["id"]), name, by) in known.asked_again
        labels.append(
            NewLabel(decision, head, label, by, row.line, chosen, probability, confirms=speaker.confirms or is_asked)
        )
    return labels


def _decisions(wiring: Wiring, file: LabelFile, names: Sequence[str], speaker: Speaker) -> dict[str, Document]:
    if file.matched_by == "id":
        store = wiring.store()
        try:
            return decisions_by_id(store, names, speaker.app_name)
        finally:
            store.close()
    if speaker.app is None:
        raise ConfigError(f"{file.name} names texts, not ids: say whose decisions they are with --app APP")
    reader = wiring.reader()
    try:
        return decisions_by_text(reader, speaker.app, names)
    finally:
        reader.close()
