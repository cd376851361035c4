"""The topics Headrace uses and how each must stand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.ports import TopicSpec

if TYPE_CHECKING:  # an application is checked against the topics below, so it imports this module
    from streams.application import Application

FEEDBACK_TOPIC = "feedback.labels"
LEASES_TOPIC = "labels.leases"  # who is looking at which decision, for some minutes
DOUBTS_TOPIC = "labels.doubts"  # labels that wait for a second person's word
ALERTS_TOPIC = "alerts"
TOLD_TOPIC = "alerts.told"  # which receiver was told of which alert
SILENCES_TOPIC = "alerts.silences"  # which alerts nobody is to be told of, and which somebody looks after
ACCEPTED_TOPIC = "drift.accepted"  # episodes of drift that people said are to be expected
RETRAIN_REQUESTS_TOPIC = "retrain.requests"
RELEASES_TOPIC = "model.releases"
RELEASE_HISTORY_TOPIC = "model.releases.history"  # every step of every model's releases
MONITOR_STATE_TOPIC = "monitor.state"  # application to the monitor's state, as its topics gave it
DEAD_LETTERS_TOPIC = "deadletters"
RESENT_TOPIC = "deadletters.resent"  # which of them were sent again, by their place
# Topics that every application shares and none reads as its source.
SHARED_TOPICS = (
    FEEDBACK_TOPIC,
    LEASES_TOPIC,
    DOUBTS_TOPIC,
    ALERTS_TOPIC,
    TOLD_TOPIC,
    SILENCES_TOPIC,
    ACCEPTED_TOPIC,
    RETRAIN_REQUESTS_TOPIC,
    RELEASES_TOPIC,
    RELEASE_HISTORY_TOPIC,
    MONITOR_STATE_TOPIC,
    DEAD_LETTERS_TOPIC,
    RESENT_TOPIC,
)

SOURCE_MAX_BYTES = 1_048_588  # Kafka's own default; what is larger never arrives
# Some hundred kB a minute and application, of which the last counts: small segments, so that the others go soon.
SNAPSHOTS_CONFIG = {"segment.bytes": str(16 * 1024 * 1024), "min.cleanable.dirty.ratio": "0.1"}
LEASES_KEPT_MS = 24 * 3_600_000  # one lasts for minutes
CHANGES_KEPT_MS = 90 * 24 * 3_600_000  # who did what with a conversation is asked about later
DEAD_LETTER_MAX_BYTES = 2_097_152  # above the source's, so that a dead letter with its headers fits
DEAD_LETTER_KEPT_MS = 90 * 24 * 3_600_000  # whoever repairs a source may have been on holiday


def specs(apps: Sequence["Application"], replication: int = -1) -> list[TopicSpec]:
    """Every topic that the roles of these applications read or write."""
    return own_specs(apps, replication) + source_specs(apps, replication)


def own_specs(apps: Iterable["Application"], replication: int = -1) -> list[TopicSpec]:
    """The topics that belong to Headrace."""
    dead_letters = {"max.message.bytes": str(DEAD_LETTER_MAX_BYTES), "retention.ms": str(DEAD_LETTER_KEPT_MS)}
    own = [
        TopicSpec(FEEDBACK_TOPIC, 4, replication, "compact"),
        TopicSpec(LEASES_TOPIC, 1, replication, config={"retention.ms": str(LEASES_KEPT_MS)}),
        TopicSpec(DOUBTS_TOPIC, 1, replication, "compact"),
        # not strict: before, it was made without compaction, and alerts are told there just the same
        TopicSpec(ALERTS_TOPIC, 1, replication, "compact", is_strict=False),
        TopicSpec(TOLD_TOPIC, 1, replication, "compact"),
        TopicSpec(SILENCES_TOPIC, 1, replication, "compact"),
        TopicSpec(ACCEPTED_TOPIC, 1, replication, "compact"),
        TopicSpec(RETRAIN_REQUESTS_TOPIC, 1, replication),
        TopicSpec(RELEASES_TOPIC, 1, replication, "compact"),
        TopicSpec(RELEASE_HISTORY_TOPIC, 1, replication, "compact"),  # by step: nothing goes but what stands twice
        TopicSpec(MONITOR_STATE_TOPIC, 1, replication, "compact", SNAPSHOTS_CONFIG),
        TopicSpec(RESENT_TOPIC, 1, replication, "compact"),
        TopicSpec(DEAD_LETTERS_TOPIC, 4, replication, config=dead_letters),
    ]
    for app in apps:
        own.append(TopicSpec(app.trials_topic, app.partitions, replication))
        own.append(TopicSpec(app.decisions_topic, app.partitions, replication))
        own.append(TopicSpec(app.signals_topic, 1, replication))
        if app.answer_bank is not None:
            own.append(TopicSpec(app.answer_bank_topic, 1, replication, "compact"))
        if app.hand_over is not None:  # as many partitions as decisions: what is of one conversation goes to one role
            own.append(TopicSpec(app.answers_topic, app.partitions, replication))
            own.append(TopicSpec(app.conversations_topic, app.partitions, replication, "compact"))
            kept = {"retention.ms": str(CHANGES_KEPT_MS)}
            own.append(TopicSpec(app.changes_topic, app.partitions, replication, config=kept))
        if app.stories is not None:
            own.append(TopicSpec(app.stories_topic, app.partitions, replication))
            # by window, of which there are new ones for ever
            own.append(TopicSpec(app.trends_topic, app.partitions, replication, "compact,delete"))
        if app.kind == "recommend":
            own.append(TopicSpec(app.state_topic, 1, replication, "compact", SNAPSHOTS_CONFIG))
    return own


def beside_standing(
    wanted: Iterable[TopicSpec], apps: Iterable["Application"], standing: Mapping[str, int]
) -> list[TopicSpec]:
    """With as many partitions as the decisions beside which they are read, where those stand already: an application
    that begins to hand over may have had its topics made otherwise. standing: partitions by topic."""
    beside = {
        topic: standing[app.decisions_topic]
        for app in apps
        if app.hand_over is not None and app.decisions_topic in standing
        for topic in app.dispatch_topics
    }
    return [replace(spec, partitions=beside.get(spec.name, spec.partitions)) for spec in wanted]


def told_apart(partitions: Mapping[str, int]) -> str | None:
    """Of the topics of one dispatcher, whose partitions belong together: what is wrong; None: nothing. partitions: by
    topic."""
    if len(set(partitions.values())) < 2:
        return None
    said = ", ".join(f"{name} has {number}" for name, number in partitions.items())
    return f"these topics must have the same number of partitions: {said}"


def loses_items(cleanup: str, config: Mapping[str, str]) -> str | None:
    """Why a catalogue's topic loses what it says of items; None: it does not. cleanup: its policies, empty where they
    may not be seen. config: its settings."""
    keeps_all = {config.get("retention.ms"), config.get("retention.bytes", "-1")} == {"-1"}
    if "delete" not in cleanup.split(",") or keeps_all:
        return None
    return f"cleanup.policy is {cleanup}, so what it says of items is lost with its records after a time"


def source_specs(apps: Sequence["Application"], replication: int = -1) -> list[TopicSpec]:
    """The topics that others write and Headrace reads: a slip of the pen in a name must not become a topic."""
    read = [TopicSpec(topic, app.partitions, replication) for app in apps for topic in app.source_topics]
    catalogues = sorted({app.recommend.catalog_topic for app in apps if app.recommend.catalog_topic})
    return read + [TopicSpec(topic, 1, replication, "compact", is_strict=False) for topic in catalogues]
