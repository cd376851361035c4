"""What each of the commands does, and what it says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.errors import BrokerUnavailable
from connectors.ports import AnswerStore
from connectors.table_lines import summary
from headrace.applications import load_classifying_application, text_mask
from headrace.output import print_json, stage_bars
from headrace.releases.encoders import default_encoder, with_encoder_of
from headrace.settings import load_settings
from headrace.terminal import field, say, say_rejected, show_table, some_of
from headrace.tools.answers.bank import AnswerBank, Reply
from headrace.tools.answers.missing import missing_answers
from headrace.tools.answers.publishing import publish_bank
from headrace.tools.answers.reading import read_answers, read_expected
from headrace.tools.answers.topic import Published
from headrace.tools.digest.reading import decisions_between
from headrace.wiring import Wiring
from models.answers.measures import Asked, Measures, measure
from models.errors import ConfigError
from models.figures import moment, number_of
from streams.application import AnswerBankSpec
from streams.application.names import meant_instead

TEXT_CHARACTERS = 160
CHECK_CANDIDATES = 100


def add_file(app: str, file: Path, json: bool) -> None:
    """Put a file's answers into the bank. Raises ConfigError where none can be taken."""
    entries, rejected = read_answers(file)
    say_rejected(rejected)
    if not entries:
        raise ConfigError(f"{file} holds no answer that can be taken: {summary(rejected)}")
    with _bank(app) as bank, stage_bars() as progress:
        report = bank.add(entries, progress)
    if json:
        print_json({**asdict(report), "rejected": [asdict(row) for row in rejected]})
    else:
        say(
            f"{report.created} added, {report.replaced} replaced, {report.unchanged} as they were"
            + (f", {number_of(len(rejected), 'line')} not taken" if rejected else "")
        )
    _publish_where_workers_ask(app, json)


def publish_again(app: str, json: bool) -> None:
    """Make the topic that workers read say what the store holds. Raises ConfigError where they ask no bank."""
    application = load_classifying_application(app)
    if application.answer_bank is None:
        raise ConfigError(f"{application.given_as}: workers ask no bank; its file needs the table [answer_bank]")
    published = publish_bank(Wiring(load_settings()), application)
    if json:
        return print_json(asdict(published))
    return say(_told(published, application.answer_bank_topic))


def _publish_where_workers_ask(app: str, json: bool) -> None:
    """What stands in the store stays there, whatever the broker does. Raises ConfigError where it does not answer."""
    application = load_classifying_application(app)
    if application.answer_bank is None:
        return
    settings = load_settings()
    try:
        words = _told(publish_bank(Wiring(settings), application), application.answer_bank_topic)
    except BrokerUnavailable as error:
        if settings.broker != "embedded":
            raise ConfigError(
                f"the bank is changed, and workers do not know it yet: {error}; `headrace answers publish` tells them"
            ) from error
        words = "no broker runs here: workers take the bank with the next `headrace up`"
    if not json:
        say(words)


def _told(published: Published, topic: str) -> str:
    if not published.written and not published.removed:
        return f"{topic} says so already: {number_of(published.stands, 'entry', 'entries')}"
    return (
        f"{topic}: {number_of(published.written, 'entry', 'entries')} written, "
        f"{published.removed} taken out, {published.stands} stand"
    )


def remove_ids(app: str, ids: Sequence[str], everything: bool, json: bool) -> None:
    """Take entries, or the whole bank, out. Raises ConfigError, and takes nothing out, where the bank has not all."""
    if everything:
        with _store(app) as store:
            gone = len(store.entries()) if store.state() is not None else 0
            store.clear()
    else:
        with _store(app) as store:
            _refuse_unknown(ids, [entry.id for entry in store.entries()] if store.state() is not None else [])
        with _bank(app) as bank:
            gone = bank.remove(ids)
    print_json({"removed": gone}) if json else say(f"{gone} removed")
    _publish_where_workers_ask(app, json)


def _refuse_unknown(ids: Sequence[str], known: Sequence[str]) -> None:
    """A slip in an id would leave the answer where it is."""
    if not known:
        raise ConfigError("the bank is empty: there is nothing to take out")
    unknown = [one for one in dict.fromkeys(ids) if one not in set(known)]
    if unknown:
        named = some_of([f"{one!r}" for one in unknown])
        raise ConfigError(
            f"the bank has no answer {named}{meant_instead(unknown[0], known)}; nothing was removed. `headrace answers "
            f"search TEXT` shows the ids"
        )


def search_bank(app: str, text: str, least: float | None, limit: int, json: bool) -> None:
    """Show the best answers for a text. least: the confidence from which on the first is given; None: the
    application's."""
    least = _least(app, least)
    with _bank(app) as bank:
        reply = bank.ask([text])[0]
    is_answered = bool(reply.suggestions) and reply.confidence >= least
    if json:
        return print_json(_described(reply, is_answered, limit))
    if not reply.suggestions:
        return say("the bank holds nothing for it")
    said = "the first is sure enough to be given" if is_answered else f"none is sure enough to be given ({least:g})"
    return show_table(
        ("score", "question, answer", "id, source"),
        [
            (
                f"{one.score:.3f}",
                (field(one.entry.question, TEXT_CHARACTERS), field(one.entry.answer, TEXT_CHARACTERS)),
                (one.entry.id, one.entry.source),
            )
            for one in reply.suggestions[:limit]
        ],
        title=f"confidence {reply.confidence:.2f}: {said}",
    )


def _least(app: str, given: float | None) -> float:
    """As workers decide, so that a trial tells what they would do."""
    table = load_classifying_application(app).answer_bank
    return given if given is not None else (table or AnswerBankSpec()).confidence


def list_missing(app: str, days: int, least: int, limit: int, json: bool) -> None:
    """Which answers somebody should write, by the decisions of the last days."""
    application, wiring, now = load_classifying_application(app), Wiring(load_settings()), datetime.now(UTC)
    store, encoder = wiring.store(), default_encoder(with_encoder_of(application, wiring))
    try:
        with stage_bars() as progress:
            decisions = decisions_between(store, application, now - timedelta(days=days), now)
            found = missing_answers(decisions, encoder.embed, least, progress)
    finally:
        store.close()
        encoder.close()
    mask = text_mask(application)
    shown = [replace(one, examples=tuple(map(mask, one.examples))) for one in found[:limit]]
    if json:
        return print_json({"missing": [asdict(one) for one in shown], "groups": len(found)})
    if not shown:
        return say(
            f"no {number_of(least, 'text')} of the last {number_of(days, 'day')} that nothing answered ask the same"
        )
    rows = [
        (one.texts, (one.name or "…", moment(one.newest)), tuple(field(text, TEXT_CHARACTERS) for text in one.examples))
        for one in shown
    ]
    return show_table(("texts", "words, newest", "such as"), rows, title=f"{len(found)} answers are missing")


def check_file(app: str, file: Path, least: float | None, json: bool) -> None:
    """Ask the bank questions whose answers are known. least: see `search_bank`. Raises ConfigError where none can be
    asked."""
    least = _least(app, least)
    with _store(app) as store:
        known = frozenset(entry.id for entry in store.entries())
    expected, rejected = read_expected(file, known)
    say_rejected(rejected)
    if not expected:
        raise ConfigError(
            f"{file} holds no question that can be asked" + (f": {summary(rejected)}" if rejected else "")
        )
    with _bank(app) as bank, stage_bars() as progress:
        replies = bank.ask([one.text for one in expected], CHECK_CANDIDATES, progress)
    asked = [
        Asked([hit.entry.id for hit in reply.suggestions], one.ids, reply.strength, reply.confidence >= least)
        for one, reply in zip(expected, replies, strict=True)
    ]
    figures = measure(asked)
    if json:
        return print_json({**asdict(figures), "confidence": least, "rejected": len(rejected)})
    return show_table(("figure", "value"), _rows(figures, least), title=f"{number_of(figures.questions, 'question')}")


def _rows(figures: Measures, least: float) -> list[tuple[str, str]]:
    of_answered = "-" if figures.p_at_1_answered is None else f"{figures.p_at_1_answered:.4f}"
    return [
        ("mean average precision", f"{figures.map:.4f}"),
        ("first answer right", f"{figures.p_at_1:.4f}"),
        ("… of the 80 % that are strongest", f"{figures.p_at_1_at_80:.4f}"),
        (f"answered at confidence {least:g}", f"{figures.answered_share:.4f}"),
        ("… first answer right", of_answered),
    ]


def _described(reply: Reply, is_answered: bool, limit: int) -> dict[str, Any]:
    found = [{**asdict(one.entry), "score": round(one.score, 4)} for one in reply.suggestions[:limit]]
    return {"confidence": round(reply.confidence, 4), "answered": is_answered, "answers": found}


@contextmanager
def _store(app: str) -> Iterator[AnswerStore]:
    store = Wiring(load_settings()).answers(load_classifying_application(app).name)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _bank(app: str) -> Iterator[AnswerBank]:
    wiring = with_encoder_of(load_classifying_application(app), Wiring(load_settings()))
    with _store(app) as store:
        encoder = default_encoder(wiring)
        try:
            yield AnswerBank(store, encoder)
        finally:
            encoder.close()
