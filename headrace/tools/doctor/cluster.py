"""The Kafka cluster: whether it answers, how the topics stand, where the groups are."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from connectors.addresses import hosts, is_loopback
from connectors.kafka.admin import REPLICAS_THAT_MAY_LOSE_ONE
from connectors.kafka.client import KafkaAdmin
from connectors.ports import TopicSpec, TopicState
from headrace.process.consumer_groups import ROLES, ConsumerGroup, consumer_groups
from headrace.process.start_offsets import standing
from headrace.terminal import some_of
from headrace.tools.doctor.findings import Check, Finding, run_checks
from headrace.wiring import Wiring
from models.figures import number_of
from streams import topics
from streams.application import Application
from streams.engine.watchdog import RESET_ADVICE

# Settings of which less loses records; the others that we set only make a topic smaller or quicker.
LEAST = ("max.message.bytes", "retention.ms")
ALTER = "kafka-configs.sh --alter --entity-type topics --entity-name {} --add-config {}={}"


def broker_checks(wiring: Wiring, apps: Sequence[Application]) -> list[Check]:
    """All that is looked at here."""
    return [
        Check("credentials", lambda: credentials_findings(wiring)),
        Check("broker", lambda: _broker(wiring, apps)),
    ]


def _broker(wiring: Wiring, apps: Sequence[Application]) -> list[Finding]:
    """The broker, and a check of its own for each topic and each group, so that a right that is missing for one does
    not hide the others."""
    admin = wiring.admin()
    try:
        brokers, is_embedded = admin.brokers(), wiring.broker().is_embedded
        answers = Finding("broker", True, f"{wiring.broker().address} answers, {number_of(brokers, 'broker')}")
        sources = {spec.name for spec in topics.source_specs(apps)}
        checks = [
            Check(f"topic {spec.name}", partial(_topic, admin, spec, brokers, spec.name in sources, is_embedded))
            for spec in topics.specs(apps, wiring.settings.replication)
        ]
        checks += [
            Check(f"topics of {app.name}'s dispatcher", partial(_dispatcher_topics, admin, app))
            for app in apps
            if app.hand_over is not None and not is_embedded
        ]
        groups = [group for role in ROLES for group in consumer_groups(role, apps)]
        checks += [Check(f"group {group.name}", partial(_group, admin, group)) for group in groups]
        return [answers, *run_checks(checks)]
    finally:
        admin.close()


def credentials_findings(wiring: Wiring) -> Iterator[Finding]:
    """Whether anything secret travels unencrypted; where that is not allowed the broker or the store says so itself."""
    security, settings = wiring.security, wiring.settings
    far = [host for host in hosts(settings.broker) if not is_loopback(host)]
    if security.sasl_mechanism and far and not security.uses_tls:
        allowed = security.allow_plaintext
        detail = f"the SASL password travels to {far[0]} unencrypted"
        yield Finding("credentials", allowed, detail + (", as HEADRACE_ALLOW_PLAINTEXT says" if allowed else ""))
    has_key = security.elasticsearch_api_key_file or security.elasticsearch_user
    if has_key and settings.store_url.startswith("http://") and not is_loopback(hosts(settings.store_url)[0]):
        allowed = security.allow_plaintext
        detail = f"the key travels to {hosts(settings.store_url)[0]} unencrypted"
        yield Finding("credentials", allowed, detail + (", as HEADRACE_ALLOW_PLAINTEXT says" if allowed else ""))


def topic_finding(
    spec: TopicSpec,
    state: TopicState | None,
    config: Mapping[str, str],
    *,
    brokers: int,
    is_source: bool,
    is_embedded: bool = False,
) -> Finding:
    """How a topic stands against how it must. state: None where it is not there. config: its settings, as far as they
    may be seen. brokers: of the cluster. is_source: others write it, so its cleanup is theirs to choose."""
    what = f"topic {spec.name}"
    if state is None:
        makes = "its producer or --create-topics makes it" if is_source else "`headrace up` makes it"
        return Finding(what, True, f"not there yet; {makes}")
    stands = (
        f"{number_of(state.partitions, 'partition')}, "
        f"{number_of(state.replication, 'replica')}, {state.cleanup}, epoch {state.epoch}"
    )
    wrong = [] if is_embedded else list(_wrong(spec, state, config, brokers, is_source=is_source))
    return Finding(what, not wrong, "; ".join(wrong) if wrong else stands)


def _wrong(
    spec: TopicSpec, state: TopicState, config: Mapping[str, str], brokers: int, *, is_source: bool
) -> Iterator[str]:
    name = spec.name
    if not state.cleanup:
        yield "its settings may not be seen: this user needs the right DescribeConfigs"
    elif not is_source and set(state.cleanup.split(",")) != set(spec.cleanup.split(",")):
        yield f"cleanup.policy is {state.cleanup}: {ALTER.format(name, 'cleanup.policy', spec.cleanup)}"
    elif is_source and spec.cleanup == "compact" and (loss := topics.loses_items(state.cleanup, config)):
        yield f"{loss}: {ALTER.format(name, 'cleanup.policy', spec.cleanup)}, or retention.ms=-1 if it has no keys"
    if spec.partitions == 1 and state.partitions != 1:
        yield f"{number_of(state.partitions, 'partition')}, must be 1: remove the topic and run `headrace up`"
    if state.replication == 1 and brokers >= REPLICAS_THAT_MAY_LOSE_ONE:
        yield f"one replica in a cluster of {brokers} brokers: it lies on one disk (kafka-reassign-partitions.sh)"
    if state.replication >= REPLICAS_THAT_MAY_LOSE_ONE and config.get("min.insync.replicas") == "1":
        yield f"min.insync.replicas is 1: {ALTER.format(name, 'min.insync.replicas', 2)}"
    for key, wanted in spec.config.items():
        value = config.get(key)
        if key in LEAST and value is not None and value != "-1" and int(value) < int(wanted):
            yield f"{key} is {value}, too little: {ALTER.format(name, key, wanted)}"


def _dispatcher_topics(admin: KafkaAdmin, app: Application) -> Iterator[Finding]:
    states = admin.describe((app.decisions_topic, *app.dispatch_topics))
    apart = topics.told_apart({name: state.partitions for name, state in states.items()})
    detail = apart or "belong together: as many partitions each, of those that are there"
    yield Finding(f"topics of {app.name}'s dispatcher", apart is None, detail)


def _topic(admin: KafkaAdmin, spec: TopicSpec, brokers: int, is_source: bool, is_embedded: bool) -> Iterator[Finding]:
    state = admin.describe([spec.name]).get(spec.name)
    config = {} if is_embedded or state is None else admin.configs([spec.name]).get(spec.name, {})
    yield topic_finding(spec, state, config, brokers=brokers, is_source=is_source, is_embedded=is_embedded)


def _group(admin: KafkaAdmin, group: ConsumerGroup) -> Iterator[Finding]:
    """Nothing of a group that never was: that is how a first start finds it."""
    there = admin.describe(list(group.topics))
    places = [place for topic in there if (place := standing(admin, group.name, topic)).positions]
    if not places:
        return
    lost = [reason for place in places for reason in place.lost().values()]
    if lost:
        yield Finding(
            f"group {group.name}", False, f"{some_of([place.reason for place in lost], 3, '; ')}: {RESET_ADVICE}"
        )
        return
    behind = sum(place.bounds[p][1] - at.offset for place in places for p, at in place.positions.items())
    running = len(admin.members(group.name))
    yield Finding(
        f"group {group.name}", True, f"{number_of(running, 'running member')}, {number_of(behind, 'record')} to go"
    )
