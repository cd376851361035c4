"""Which consumer group each role reads with, and whose positions that group keeps: the builder joins these, and
`--reset-position` and `headrace doctor` look after the very same."""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.wiring import group_name
from models.errors import ConfigError
from streams import topics
from streams.application import Application

# of all applications together, until each had its own
OLD_INDEXER_GROUP, OLD_MONITOR_GROUP, OLD_RETRAINER_GROUP = "headrace-indexer", "headrace-monitor", "headrace-retrainer"


ROLES = ("worker", "indexer", "monitor", "retrainer", "notifier", "dispatcher")


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """A consumer group. topics: those in which it has positions."""

    name: str
    topics: tuple[str, ...]


def worker_group(app: Application) -> ConsumerGroup:
    """The group that shares an application's events among its workers."""
    return ConsumerGroup(group_name("worker", app.name), tuple(app.source_topics))


def indexer_group(app: Application) -> ConsumerGroup:
    """The group that shares an application's decisions among its indexers, and what is told beside them."""
    beside = () if app.stories is None else (app.stories_topic, app.trends_topic)
    return ConsumerGroup(group_name("indexer", app.name), (app.decisions_topic, *beside))


def retrainer_group(app: Application) -> ConsumerGroup:
    """The group that shares an application's retrain requests, which stand among those of all others."""
    return ConsumerGroup(group_name("retrainer", app.name), (topics.RETRAIN_REQUESTS_TOPIC,))


def monitor_group(app: Application) -> ConsumerGroup:
    """The group whose member with the application's signals is its active monitor; the others stand by."""
    return ConsumerGroup(group_name("monitor", app.name), (app.signals_topic,))


def notifier_group(app: Application) -> ConsumerGroup:
    """The group whose member with the alerts is an application's active notifier; the others stand by."""
    return ConsumerGroup(group_name("notifier", app.name), (topics.ALERTS_TOPIC,))


def dispatcher_group(app: Application) -> ConsumerGroup:
    """The group that shares an application's decisions, and people's changes of their conversations, among its
    dispatchers."""
    return ConsumerGroup(group_name("dispatcher", app.name), (app.decisions_topic, app.changes_topic))


def consumer_groups(role: str, apps: Sequence[Application]) -> list[ConsumerGroup]:
    """The groups that a process with this role and these applications joins. Raises ConfigError for no role."""
    match role:
        case "worker":
            return [worker_group(app) for app in apps]
        case "indexer":
            return [indexer_group(app) for app in apps]
        case "monitor":
            return [monitor_group(app) for app in apps if app.kind == "classify"]
        case "retrainer":
            return [retrainer_group(app) for app in apps if app.kind == "classify"]
        case "notifier":
            return [notifier_group(app) for app in apps if app.receivers]
        case "dispatcher":
            return [dispatcher_group(app) for app in apps if app.hand_over is not None]
    raise ConfigError(f"no role is called {role!r}")
