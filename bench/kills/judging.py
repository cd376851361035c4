"""Whether a run in which roles were killed came to what it must come to. Values in, words out."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.wire.records import Alert, Release, RetrainRequest


@dataclass(frozen=True, slots=True)
class Told:
    """What the receiver was told. key: of the notice; a repeat has the same."""

    key: str
    fingerprint: str
    state: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What stands at the end of a run. alerts, requests, releases: of their topics, in their order. versions: of the
    registry, with the request that each was trained for (empty: none). champion: the registry's. served: the version
    that the worker says it serves. stored: ids in the store, as often as they stand there. sent: ids of all events.
    told: in the order in which it was heard. notifier_kills: how often the notifier was killed."""

    alerts: Sequence[Alert]
    requests: Sequence[RetrainRequest]
    releases: Sequence[Release]
    versions: Mapping[str, str]
    champion: str | None
    served: str
    stored: Sequence[str]
    sent: Sequence[str]
    told: Sequence[Told]
    notifier_kills: int


def violations(outcome: Outcome) -> list[str]:
    """What must not be, in words; empty: the run is as if nobody had been killed. In each run new subjects appear,
    people label them and hear of them: one in which the loop did not turn shows nothing."""
    return [
        *_turned(outcome),
        *_alerts(outcome.alerts),
        *_requests(outcome),
        *_released(outcome),
        *_events(outcome),
        *_deliveries(outcome),
    ]


def _turned(outcome: Outcome) -> Iterator[str]:
    if not any(alert.rule == "drift" and alert.state == "firing" for alert in outcome.alerts):
        yield "no drift was told of"
    if not outcome.requests:
        yield "no better model was asked for"


def _alerts(alerts: Sequence[Alert]) -> Iterator[str]:
    last: dict[str, str] = {}
    stories: dict[str, int] = {}
    episodes: Counter[str] = Counter()
    for alert in alerts:
        story = int(alert.values.get("told_event") or 0)  # it grows while an episode goes on, and is told anew
        if last.get(alert.fingerprint) == alert.state and story <= stories.get(alert.fingerprint, 0):
            yield f"the alert {alert.fingerprint} is {alert.state} twice in a row"
        stories[alert.fingerprint] = story
        if alert.rule == "drift" and alert.state == "firing" and last.get(alert.fingerprint) != "firing":
            episodes[alert.fingerprint] += 1
        if alert.state == "resolved" and alert.fingerprint not in last:
            yield f"the alert {alert.fingerprint} is over and never began"
        last[alert.fingerprint] = alert.state
    yield from (f"the episode {name} was told {count} times" for name, count in episodes.items() if count > 1)


def _requests(outcome: Outcome) -> Iterator[str]:
    counts = Counter(request.id for request in outcome.requests)
    yield from (f"the request {name} was made {count} times" for name, count in counts.items() if count > 1)
    trained = Counter(request for request in outcome.versions.values() if request)
    yield from (f"the request {name} was trained for {count} times" for name, count in trained.items() if count > 1)
    yield from (f"{name} was trained for, and nobody asked" for name in trained if name not in counts)


def _released(outcome: Outcome) -> Iterator[str]:
    changes = [release for release in outcome.releases if release.request]
    champions: dict[str, set[str]] = defaultdict(set)
    for release in changes:
        champions[str(release.request)].add(release.champion)
    for request, versions in champions.items():
        if len(versions) > 1:
            yield f"the request {request} led to {', '.join(sorted(versions))}"
    announced = outcome.releases[-1].champion if outcome.releases else None
    if len({announced, outcome.champion, outcome.served}) > 1:
        yield f"announced is {announced}, the registry names {outcome.champion}, {outcome.served} serves"
    missing = [
        version
        for version, request in outcome.versions.items()
        if request and version not in {release.champion for release in outcome.releases}
    ]
    yield from (f"version {version} passed the gate and was never announced" for version in missing)


def _events(outcome: Outcome) -> Iterator[str]:
    stored = Counter(outcome.stored)
    lost = set(outcome.sent) - stored.keys()
    if lost:
        yield f"{len(lost)} of {len(outcome.sent)} events are not in the store, such as {min(lost)}"
    doubled = [identity for identity, count in stored.items() if count > 1]
    if doubled:
        yield f"{len(doubled)} events stand in the store more than once, such as {min(doubled)}"


def _deliveries(outcome: Outcome) -> Iterator[str]:
    """An alert that was over before anybody could be told need not be told; one that fires, or has fired and was told,
    must be. One that is a note by now need not be told, and has its end where it was."""
    keys = Counter(told.key for told in outcome.told)
    repeats = sum(keys.values()) - len(keys)
    if repeats > outcome.notifier_kills:
        yield f"the receiver was told {repeats} times again, by {outcome.notifier_kills} kills of the notifier"
    told: dict[str, str] = {one.fingerprint: one.state for one in outcome.told}
    last = {alert.fingerprint: alert for alert in outcome.alerts}
    for name, alert in last.items():
        if alert.state == "firing" and alert.severity != "info" and told.get(name) != "firing":
            yield f"nobody was told that {name} fires"
        if alert.state == "resolved" and told.get(name) == "firing":
            yield f"nobody was told that {name} is over"
