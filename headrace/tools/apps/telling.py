"""How `headrace apps check` tells what came of it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from headrace.output import print_json
from headrace.terminal import field, say, show_table
from headrace.tools.decisions import leads_to
from models.figures import moment, number_of

TEXT_CHARACTERS: Final = 90
ANSWER_CHARACTERS: Final = 40


def tell(proof: Mapping[str, Any], *, json: bool) -> None:
    """proof: what stands in the JSON object."""
    if json:
        return print_json(proof)
    if proof["records"]:
        _table(proof)
    if proof["trained"] is not None:
        _figures(proof["trained"], proof["heads"])
    for problem in proof["problems"]:
        say(f"{field(problem['field'])}: {field(problem['says'])}")
    name, count = proof["application"], len(proof["problems"])
    if proof["in_order"]:
        return say(f"{field(name)} is in order")
    if not count:
        return say(f"{field(name)}: nothing was decided, as no record holds a text")
    return say(f"{field(name)}: {number_of(count, 'thing')} to mend")


def _table(proof: Mapping[str, Any]) -> None:
    has_expected = any("expected" in record for record in proof["records"])
    rows = [
        (
            record["record"],
            field(record["text"], TEXT_CHARACTERS),
            tuple(line for head in proof["heads"] for line in _answer_of(record, head)),
            tuple(_leads_to(record)),
        )
        for record in proof["records"]
    ]
    show_table(("line" if has_expected else "record", "text", "labels", "leads to"), rows)


def _answer_of(record: Mapping[str, Any], head: str) -> Iterator[str]:
    """The label with its probability, and what it should be where that is something else."""
    answer = record["labels"].get(head)
    if answer is None:
        return
    yield f"{head}: {answer['label']} {answer['probability']:.2f}"
    expected = record.get("expected", {}).get(head)
    if expected not in (None, answer["label"]):
        yield f"  should be {expected}"


def _leads_to(record: Mapping[str, Any]) -> Iterator[str]:
    if "unread" in record:
        yield record["unread"]
        return
    first, *others = map(field, leads_to(record))
    if record.get("wordless"):
        first = "no words: to people"
    yield first + (f", {field(record['priority'])}" if record["priority"] else "")
    yield from others
    if record["respond_by"]:
        yield f"by {record['respond_by']}"
    for slot in record["slots"] or ():
        yield f"{slot['name']}: {field(slot['value'], ANSWER_CHARACTERS)}"
    if record["ask"]:
        yield f'asks "{field(record["ask"]["text"], ANSWER_CHARACTERS)}"'
    if "dispatch" in record:
        yield from _dispatched(record["dispatch"])
    elif record["rejected"] and not record["answer"]:
        yield "rejected: to people"
    elif record["answer"]:
        answer = record["answer"]
        yield f'"{field(answer if isinstance(answer, str) else answer["text"], ANSWER_CHARACTERS)}"'


def _dispatched(made: Mapping[str, Any]) -> Iterator[str]:
    """Who hears what, and what happens by the clock where nobody answers."""
    if made["told"]:
        yield f'told "{field(made["told"], ANSWER_CHARACTERS)}"'
    if "handed_over" not in made:
        return
    yield f"handed over to {made['handed_over']['queue']}: {field(made['handed_over']['reason'], ANSWER_CHARACTERS)}"
    if made["reminded"]:
        yield f"reminded {moment(made['reminded'])}"
    if made["returned"]:
        yield f"returned {moment(made['returned'])}"
    for at, queue in made["escalated"]:
        yield f"to {queue} {moment(at)}"


def _figures(trained: Mapping[str, Any], heads: list[str]) -> None:
    shares = ", ".join(f"{head} {100 * trained[head]:.0f} %" for head in heads if head in trained)
    say(
        f"trained on {trained['rows']} examples for this check alone; decided rightly of the {trained['tested']} that "
        f"did not train: {shares}"
    )
