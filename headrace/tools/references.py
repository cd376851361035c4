"""Pages of reference, written from the code: the application's TOML and every record that Headrace writes or reads.

`python -m headrace.tools.references docs/reference` writes them; a test holds the committed pages to the code.
"""

import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from streams.application import (
    AnswerBankSpec,
    Application,
    Choices,
    Conversations,
    Drift,
    Entities,
    Escalation,
    HandOver,
    HeadSpec,
    Labelling,
    Opening,
    Priority,
    Privacy,
    ReceiverSpec,
    Recommending,
    ServiceLevel,
    SlotSpec,
    Source,
    Stories,
    Surge,
)
from streams.release_watch.settings import ReleaseSettings
from streams.rule_specs import KINDS
from streams.signal_specs import DETECTOR_KINDS
from streams.wire.records import (
    Alert,
    BankClose,
    BankEntry,
    Candidate,
    ConversationAnswer,
    ConversationChange,
    Decision,
    Doubts,
    DroppedChange,
    EntityAnswer,
    Feedback,
    GivenAnswer,
    HeadAnswer,
    HeldConversation,
    KnownSlot,
    LargestStory,
    Lease,
    MeanSentiment,
    Question,
    RankedItem,
    Release,
    ReleaseStep,
    RetrainRequest,
    SentAnswer,
    Silence,
    SlotValue,
    Step,
    StoryTold,
    Told,
    TrendWindow,
    Utterance,
    Word,
)

APPLICATION: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The file", Application),
    ("`[source]`", Source),
    ("`[[heads]]`", HeadSpec),
    ("`[entities]`", Entities),
    ("`[recommend]`", Recommending),
    ("`[priority]`", Priority),
    ("`[service_levels.QUEUE]`", ServiceLevel),
    ("`[opening.NAME]`", Opening),
    ("`[slots.NAME]`", SlotSpec),
    ("`[answer_bank]`", AnswerBankSpec),
    ("`[privacy]`", Privacy),
    ("`[conversations]`", Conversations),
    ("`[choices]`", Choices),
    ("`[[escalations]]`", Escalation),
    ("`[hand_over]`", HandOver),
    ("`[stories]`", Stories),
    ("`[[surges]]`", Surge),
    *((f'`[[rules]]`, `kind = "{kind}"`', table) for kind, table in KINDS.items()),
    ("`[labelling]`", Labelling),
    ("`[drift]`", Drift),
    *((f'`[[drift.signals]]`, `detector = "{kind}"`', table) for kind, table in DETECTOR_KINDS.items()),
    ("`[release]`", ReleaseSettings),
    ("`[[receivers]]`", ReceiverSpec),
)
RECORDS = (
    ("`decisions.<app>`, `trials.<app>`", Decision),
    ("A decision's `labels`", HeadAnswer),
    ("A decision's `entities`", EntityAnswer),
    ("A decision's `slots`", SlotValue),
    ("A decision's `ask`", Question),
    ("A decision's `answer`", GivenAnswer),
    ("A decision's `conversation`", ConversationAnswer),
    ("A conversation's `slots`", KnownSlot),
    ("A decision's `items`", RankedItem),
    ("`answers.<app>`", SentAnswer),
    ("`conversations.<app>`", HeldConversation),
    ("A conversation's `said`", Utterance),
    ("A conversation's `dropped`", DroppedChange),
    ("`changes.<app>`", ConversationChange),
    ("`stories.<app>`", StoryTold),
    ("`trends.<app>`", TrendWindow),
    ("A window's `sentiment`", MeanSentiment),
    ("A window's `largest`", LargestStory),
    ("`answers.bank.<app>`, one record an entry", BankEntry),
    ("`answers.bank.<app>`, what closes a change", BankClose),
    ("`feedback.labels`", Feedback),
    ("`labels.leases`", Lease),
    ("`labels.doubts`", Doubts),
    ("`alerts`", Alert),
    ("`alerts.told`", Told),
    ("What was told's `telling`", Word),
    ("`alerts.silences`", Silence),
    ("`retrain.requests`", RetrainRequest),
    ("`model.releases`", Release),
    ("A release's `step`", Step),
    ("A release's `candidate`", Candidate),
    ("`model.releases.history`", ReleaseStep),
)
SCALARS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "day",
    type(None): "nothing",
    Any: "any",
}


def pages() -> dict[str, str]:
    """File name to text of each page."""
    return {
        "application.md": _page(
            "An application's TOML file",
            "Every field that `headrace train`, `load`, `up` and the other commands understand; others are refused. "
            "A first file is in the README; the shipped ones stand in `apps/`.",
            APPLICATION,
        ),
        "records.md": _page(
            "Records",
            "What Headrace writes to and reads from its topics: JSON in UTF-8. Unknown fields are kept by readers.",
            RECORDS,
        ),
    }


def _page(title: str, introduction: str, parts: Sequence[tuple[str, type[BaseModel]]]) -> str:
    origin = "Written by `python -m headrace.tools.references docs/reference`; do not edit."
    return f"# {title}\n\n{origin}\n\n{introduction}\n" + "".join(_part(heading, model) for heading, model in parts)


def _part(heading: str, model: type[BaseModel]) -> str:
    rows = [_row(name, field) for name, field in model.model_fields.items()]
    words = " ".join((model.__doc__ or "").split())
    return f"\n## {heading}\n\n{words}\n\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n" + "".join(
        rows
    )


def _row(name: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split())
    return f"| `{name}` | {type_in_words(field.annotation)} | {_default(field)} | {meaning} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    is_table = isinstance(default[0] if default and isinstance(default, tuple) else default, BaseModel)
    if default is None or default is PydanticUndefined or is_table or default in ((), {}, []):
        return "-"
    return f"`{json.dumps(default)}`"


def type_in_words(annotation: Any) -> str:
    """A field's type as its users would say it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        words = (type_in_words(argument) for argument in arguments if argument is not type(None))
        return " or ".join(dict.fromkeys(words))
    if origin in (tuple, list):
        return f"list of {type_in_words(arguments[0])}"
    if origin in (dict, Mapping):
        return f"table of {type_in_words(arguments[1])}"
    if origin is typing.Annotated:
        return type_in_words(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__
    return "path" if annotation is Path else SCALARS.get(annotation, str(annotation))


def main() -> None:
    """Write the pages into the folder named as the only argument."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
