"""From the store's bank to its topic, and from there to a worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from headrace.releases.encoders import default_encoder, with_encoder_of
from headrace.tools.answers.asking import AskedBank
from headrace.tools.answers.live import LiveBank
from headrace.tools.answers.topic import Published, publish
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from streams.application import Application
from streams.topics import own_specs


def live_bank(wiring: Wiring, app: Application) -> LiveBank:
    """An application's bank as its topic says it, not started yet."""
    return LiveBank(wiring.reader, app.answer_bank_topic, partial(default_encoder, with_encoder_of(app, wiring)))


def last_records(wiring: Wiring, app: Application) -> dict[bytes, bytes | None]:
    """What the bank's topic says, the last record of each key; nothing where it is not there."""
    records = all_records(wiring, app.answer_bank_topic)
    return {record.key: record.value for record in records if record.key is not None}


def publish_bank(wiring: Wiring, app: Application) -> Published:
    """Make an application's topic say what its store holds. Raises BrokerUnavailable, ConfigError."""
    specs = own_specs([app], wiring.settings.replication)
    admin = wiring.admin()
    try:
        admin.ensure([spec for spec in specs if spec.name == app.answer_bank_topic])
    finally:
        admin.close()
    store = wiring.answers(app.name)
    try:
        publisher = wiring.publisher()
        try:
            return publish(store, last_records(wiring, app), publisher, app.answer_bank_topic)
        finally:
            publisher.close()
    finally:
        store.close()


@contextmanager
def stored_bank(wiring: Wiring, app: Application) -> Iterator[AskedBank | None]:
    """The bank as the store holds it now, to be asked as a worker asks it; None where the application asks none."""
    if app.answer_bank is None or not wiring.has_answers(app.name):
        yield None
        return
    store = wiring.answers(app.name)
    try:
        yield AskedBank(store, partial(default_encoder, with_encoder_of(app, wiring)))
    finally:
        store.close()


def carry_over(wiring: Wiring, app: Application) -> None:
    """Publish a bank that stands in the store alone."""
    if wiring.has_answers(app.name) and not last_records(wiring, app):
        publish_bank(wiring, app)
