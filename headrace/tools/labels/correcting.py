"""`headrace correct`: what a decision, or each row of a file, should have been."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.ports import Document
from connectors.table_files import Reject
from headrace.label_files import LabelFile, LabelRow, open_label_file
from headrace.tools.decisions import find_decision
from headrace.tools.labels.finding import decisions_by_id, decisions_by_text, unique
from headrace.tools.labels.giving import Chosen, GivenLabels, LabelGiver, NewLabel
from headrace.tools.labels.random_draw import was_drawn
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.application import Application

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who gives labels, and how. by: where the file does not say. introduces: labels that the model does not know are
    meant to be new. app: whose decisions; None: whose they are by their ids."""

    by: str
    introduces: bool = False
    app: Application | None = None
    chosen: Chosen = "correction"

    @property
    def app_name(self) -> str | None:
        """For the store."""
        return None if self.app is None else self.app.name


def correct_one(
    wiring: Wiring, identity: str, head: str, label: str, speaker: Speaker, probability: float | None = None
) -> GivenLabels:
    """Give one decision its label. probability: with which it was drawn at random. Raises ConfigError where it cannot
    be taken."""
    decision = _decision(wiring, identity, speaker)
    giver = LabelGiver(wiring)
    try:
        new = NewLabel(decision, head, label, speaker.by, chosen=speaker.chosen, probability=probability)
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
    return f"{taken_back.head}: {taken_back.label}, by {taken_back.by}, {taken_back.at}"


def correct_file(wiring: Wiring, path: Path, speaker: Speaker, progress: Progress = lambda *_: None) -> GivenLabels:
    """Give every row's labels; what cannot be taken is rejected with its line. Raises ConfigError for a file of no
    use."""
    with open_label_file(path, () if speaker.app is None else speaker.app.heads) as file:
        return give_rows(wiring, file, list(file.rows), speaker, progress)


def give_rows(
    wiring: Wiring,
    file: LabelFile,
    rows: Sequence[LabelRow | Reject],
    speaker: Speaker,
    progress: Progress = lambda *_: None,
) -> GivenLabels:
    """The same for rows at hand. file: that they came from."""
    labels, rejected = _new_labels(wiring, file, rows, speaker)
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
    wiring: Wiring, file: LabelFile, rows: Sequence[LabelRow | Reject], speaker: Speaker
) -> tuple[list[NewLabel], list[Reject]]:
    names = unique(row.name for row in rows if isinstance(row, LabelRow))
    decisions = _decisions(wiring, file, names, speaker)
    where = "the store" if file.matched_by == "id" else f"decisions.{speaker.app_name}"
    labels, rejected = list[NewLabel](), list[Reject]()
    for row in rows:
        if isinstance(row, Reject):
            rejected.append(row)
        elif (decision := decisions.get(row.name)) is None:
            rejected.append(Reject(row.line, f"no decision of {file.matched_by} {row.name[:60]!r} is in {where}"))
        else:
            labels += _labels_of(row, decision, speaker)
    return labels, rejected


def _labels_of(row: LabelRow, decision: Document, speaker: Speaker) -> list[NewLabel]:
    """chosen: at random only where the decision's hash agrees; a file may say what it likes."""
    is_drawn = row.drawn is not None and 0 < row.drawn <= 1 and was_drawn(str(decision["id"]), row.drawn)
    chosen: Chosen = "random" if is_drawn else speaker.chosen
    probability = row.drawn if is_drawn else None
    return [
        NewLabel(decision, head, label, row.by or speaker.by, row.line, chosen, probability)
        for head, label in row.labels.items()
    ]


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
