"""The topics that others write: a worker reads them, and does not make one out of a slip of the pen."""

import difflib
from collections.abc import Sequence

from connectors.kafka.client import KafkaAdmin
from connectors.ports import TopicState
from models.errors import ConfigError
from streams.application import Application
from streams.topics import own_specs


def source_states(admin: KafkaAdmin, apps: Sequence[Application]) -> dict[str, TopicState]:
    """By name, each topic that these applications read. Raises ConfigError where one is not there, with the
    names that are nearest to its own."""
    sources = [topic for app in apps for topic in app.source_topics]
    standing = admin.describe(sources)
    for app in apps:
        for topic in app.source_topics:
            if topic not in standing:
                ours = {spec.name for spec in own_specs(apps)}
                raise ConfigError(_missing(topic, app.name, [name for name in admin.names() if name not in ours]))
    return standing


def _missing(topic: str, app: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(topic, names, n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"there is no topic {topic}, which {app} reads: {meant}--create-topics makes it"
