"""What does not fit between an application's file, its examples and its encoder; each with the field it concerns."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from connectors.table_files import open_table
from connectors.table_lines import NOT_UTF8, Reject, summary
from headrace.applications import columns_of
from headrace.releases.encoders import standing_encoder, with_encoder_of
from headrace.slot_finders import slot_finder
from headrace.tools.apps.questions import LOOKED_AT, likely_text
from headrace.training.entities.fitting import read_entities
from headrace.training.from_file import TrainingRequest, proposed_encoder
from headrace.wiring import Wiring
from models.errors import HeadraceError
from models.figures import number_of
from models.label_sets import labels_of, seem_sets
from retrain.data import Dataset
from retrain.text_keys import same_text_key, spellings
from streams.application import Application, Refusal, unknown_labels
from streams.application.names import meant_instead

FEWEST_TEXTS: Final = 5  # of a label: one in five is tested, and each of the folds is to hold one


@dataclass(frozen=True, slots=True)
class Problem:
    """field: of the application's file, such as `queues.refund`, or a file. says: what is wrong, and what to do."""

    field: str
    says: str


def told(refusals: Iterator[Refusal] | Sequence[Refusal], file: str) -> Iterator[Problem]:
    """As problems. file: is named where no field is."""
    for refusal in refusals:
        yield Problem(refusal.where or file, refusal.said)


def column_problems(app: Application, order: TrainingRequest) -> list[Problem]:
    """Columns that the examples lack, or have twice. Raises ConfigError where the file cannot be read."""
    data = order.data
    with open_table(data) as table:
        there, twice = table.columns, table.twice
        rows = [row.fields for row in islice(table.rows, LOOKED_AT) if not isinstance(row, Reject)]
    likely = likely_text([name for name in there if name not in {head.column for head in app.heads}], rows) or "COLUMN"
    found = columns_of(app).in_file(there, text=order.text_column, title=order.title_column)
    named = f'write text_column = "{likely}" above the first [table], or rename yours'
    wanted = [("corpus", found.text, f"the texts are looked for there: {named}")]
    if found.title is not None:
        wanted.append(("corpus", found.title, "--title-column names it"))
    wanted += [
        (f"heads.{number}.column", found.labels.get(head.name, head.column), "it holds the answers to this question")
        for number, head in enumerate(app.heads)
    ]
    missing = [
        Problem(where, f"{data.name} has no column {name!r}, and {why}{meant_instead(name, there)}")
        for where, name, why in wanted
        if name not in there
    ]
    return missing + [
        Problem(where, f"{data.name} has two columns {name!r}: rename one")
        for where, name, _ in wanted
        if name in twice
    ]


def row_problems(app: Application, dataset: Dataset, data: Path) -> Iterator[Problem]:
    """Rows that are of no use, labels that have too few texts, and labels that file and examples do not share."""
    if dataset.rejected:
        rejected = [Reject(row.line, row.reason) for row in dataset.rejected]
        count = number_of(len(rejected), "row")
        yield Problem("corpus", f"{data.name}: {count} cannot be used: {summary(rejected)}")
        if any(reject.reason == NOT_UTF8 for reject in rejected):
            return  # what the other rows lack is no news before the file can be read
    texts = {name: _texts_by_label(dataset, name) for name in app.head_names}
    for number, name in enumerate(app.head_names):
        if name not in dataset.several and seem_sets(row.labels[name] for row in dataset.rows if name in row.labels):
            yield Problem(
                f"heads.{number}",
                f"cells of {name} hold several labels with | between them: write multi = true below its name, then a "
                f"text may have several of them, and an empty cell says that none holds",
            )
            continue  # what each set lacks is no news before
        alike = spellings(texts[name])
        yield from (_spelt(number, name, labels, texts[name]) for labels in alike)
        texts[name] = {label: texts[name][label] for label in texts[name] if not any(label in its[1:] for its in alike)}
        few = {label: count for label, count in texts[name].items() if count < FEWEST_TEXTS}
        if few:
            listed = ", ".join(f"{label!r} {count}" for label, count in sorted(few.items()))
            yield Problem(
                f"heads.{number}",
                f"too few different texts to learn these labels of {name}: {listed}; give each {FEWEST_TEXTS} at the "
                f"least, some ten are a beginning",
            )
    yield from told(unknown_labels(app, {name: sorted(count) for name, count in texts.items()}), "queues")
    yield from _without_queue(app, sorted(texts[app.head_names[0]]))


def _spelt(number: int, name: str, labels: Sequence[str], texts: Mapping[str, int]) -> Problem:
    told = ", ".join(f"{label!r} {texts[label]}" for label in labels)
    says = f"labels of {name} that are written in several ways are labels of their own: {told}; write them alike"
    return Problem(f"heads.{number}", says)


def encoder_problem(app: Application, wiring: Wiring, texts: Sequence[str]) -> Problem | None:
    """Where the encoder is unknown, not here, or does not read what the texts are written in. texts: may be empty."""
    own = with_encoder_of(app, wiring)
    try:
        standing = standing_encoder(own)
    except HeadraceError as error:
        return Problem("encoder", str(error))
    name = own.settings.encoder
    better = proposed_encoder(name, texts) if texts else None
    if better is not None:
        return Problem("encoder", f'most texts are in a script that {name} does not read: write encoder = "{better}"')
    if standing is None:
        return Problem("encoder", f"the files of {name} are not here yet: `headrace encoders add {name}` fetches them")
    return None


def entity_problem(app: Application, order: TrainingRequest | None) -> Problem | None:
    """Where the names, or the texts whose entities are labelled, cannot be used. order: what is to train on them."""
    asked = () if order is None else (order.text_column, order.title_column)
    try:
        read_entities(app, None, 0, *asked)
    except HeadraceError as error:
        return Problem("entities", str(error))
    return None


def slot_problem(app: Application) -> Problem | None:
    """Where a slot's list of names cannot be used."""
    try:
        slot_finder(app)
    except HeadraceError as error:
        return Problem("slots", str(error))
    return None


def _texts_by_label(dataset: Dataset, head: str) -> Mapping[str, int]:
    """How many different texts each label has, of a set each by itself; that none holds is no label to learn."""
    several = head in dataset.several
    pairs = {
        (same_text_key(row.text), label)
        for row in dataset.rows
        if head in row.labels
        for label in (labels_of(row.labels[head]) if several else (row.labels[head],))
    }
    return Counter(label for _, label in pairs)


def _without_queue(app: Application, labels: Sequence[str]) -> Iterator[Problem]:
    for label in labels if app.queues else ():
        if label not in app.queues:
            yield Problem(
                "queues",
                f"there is no queue for {label!r}: such texts go to {app.human_queue!r}; write a line for it, "
                f'"{label}" = "{app.human_queue}" if that is meant',
            )
