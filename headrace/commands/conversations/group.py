"""conversations: what people have, take, answer and hand back."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headrace.tools.conversations.desk import Deed

App = Annotated[str, typer.Argument(metavar="APP", help="support, or the path of a TOML file")]
Conversation = Annotated[str, typer.Argument(metavar="CONVERSATION", help="its id, as `list` shows it")]
By = Annotated[str | None, typer.Option(help="who does so; default: the user of this system")]
Seen = Annotated[
    int | None, typer.Option(min=0, help="the version that you saw, as `show` tells it; default: what stands now")
]
Because = Annotated[str, typer.Option(help="why, for those who ask later")]
OneJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Conversations that people have: take, answer, hand back.")
    cli.add_typer(group, name="conversations")
    group.command("list", epilog="Example: headrace conversations list support --queue billing")(_list)
    group.command("show", epilog="Example: headrace conversations show support c-17")(_show)
    group.command("take", epilog="Example: headrace conversations take support c-17 --by ann")(_take)
    group.command("answer", epilog="Example: headrace conversations answer support c-17 'It is on its way.'")(_answer)
    group.command("return", epilog="Example: headrace conversations return support c-17")(_return)


def _list(
    app: App,
    queue: Annotated[str | None, typer.Option(help="only of this queue")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON lines, one a conversation")] = False,
) -> None:
    """Conversations that people have, whoever waits longest first."""
    from headrace.applications import load_application
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import say, show_table
    from headrace.tools.conversations.desk import as_json, held_conversations, nobody_waits, row, waiting_first
    from headrace.wiring import Wiring
    from streams.clock import wall_clock_ms

    held = held_conversations(Wiring(load_settings()), load_application(app))
    waiting = waiting_first(held, queue)
    if json:
        for one in waiting:
            print_json(as_json(one, one.id))
    elif waiting:
        show_table(
            ("conversation", "queue", "who", "priority", "answer by (UTC)", "why"),
            [row(one, wall_clock_ms()) for one in waiting],
        )
    else:
        say(nobody_waits(held, queue))


def _show(app: App, conversation: Conversation, json: OneJson = False) -> None:
    """One of them: whose it is and why, what it is about, and what was said."""
    from headrace.applications import load_application
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.tools.conversations.desk import as_json, look
    from headrace.wiring import Wiring

    held = look(Wiring(load_settings()), load_application(app), conversation)
    if json:
        print_json(as_json(held, conversation))
    else:
        _tell(held)


def _take(app: App, conversation: Conversation, by: By = None, because: Because = "", json: OneJson = False) -> None:
    """Answer a conversation from here on, also one that Headrace has: nothing automated is sent any more."""
    from headrace.tools.conversations.desk import Deed

    _do(app, conversation, Deed("taken", by or getpass.getuser(), because=because), json=json)


def _answer(
    app: App,
    conversation: Conversation,
    text: Annotated[str, typer.Argument(help="the words for the customer")],
    by: By = None,
    seen: Seen = None,
    json: OneJson = False,
) -> None:
    """Tell the customer something. Dropped, with exit 1, where the customer has written what you have not seen."""
    from headrace.tools.conversations.desk import Deed

    _do(app, conversation, Deed("answered", by or getpass.getuser(), text=text, seen=seen), json=json)


def _return(
    app: App,
    conversation: Conversation,
    by: By = None,
    because: Because = "",
    seen: Seen = None,
    json: OneJson = False,
) -> None:
    """Hand a conversation back: Headrace answers the next message."""
    from headrace.tools.conversations.desk import Deed

    _do(app, conversation, Deed("handed_back", by or getpass.getuser(), because=because, seen=seen), json=json)


def _do(app: str, conversation: str, deed: "Deed", *, json: bool) -> None:
    from headrace.applications import load_application
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import say
    from headrace.tools.conversations.desk import as_json, do
    from headrace.wiring import Wiring

    held = do(Wiring(load_settings()), load_application(app), conversation, deed)
    if json:
        print_json(as_json(held, conversation))
    elif deed.kind == "handed_back":
        say(f"{conversation}: Headrace answers the next message")
    elif deed.kind == "answered":
        say(f"{conversation}: the customer is told")
    elif held is not None:
        _tell(held)


def _tell(held: object) -> None:
    from headrace.terminal import field, say
    from headrace.tools.conversations.desk import screen
    from streams.clock import wall_clock_ms
    from streams.wire.records import HeldConversation

    assert isinstance(held, HeldConversation)
    for name, value in screen(held, wall_clock_ms()):
        say(f"{field(name):<12} {field(value)}")
