"""How far the labels have come: how many count since the champion serves, and how many more train a better model."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.applications import SHIPPED, load_application
from headrace.tools.alerts import StandingAlert, firing_drift
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.figures import number_of
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.retrain_requests import RetrainRequests, milliseconds
from streams.topics import ALERTS_TOPIC, FEEDBACK_TOPIC, RELEASES_TOPIC, RETRAIN_REQUESTS_TOPIC
from streams.wire.records import format_time
from streams.wire.release_state import champion_request, champion_since, states_of


@dataclass(frozen=True, slots=True)
class Outlook:
    """labels: that count. missing: how many more lead to a training; 0: it is asked for. drifts: whether a drift alert
    fires, after which fewer are enough. missing_at_random: how many of the missing ones must be of wrong decisions that
    were drawn at random. not_before: RFC 3339, where the application's file has a request wait (hours, cool-down, how
    many a day). tests_suffice: whether the labels can prove a better model."""

    app: str
    version: str
    labels: int
    missing: int
    drifts: bool
    not_before: str | None = None
    missing_at_random: int = 0
    tests_suffice: bool = False

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        return dataclasses.asdict(self)

    @property
    def words(self) -> str:
        """For a person."""
        since = f"{number_of(self.labels, 'label')} of {self.app} {'counts' if self.labels == 1 else 'count'}" + (
            " since it drifts" if self.drifts else ""
        )
        at = f", not before {self.not_before}" if self.not_before else ""
        if self.missing_at_random:
            drawn = f"{self.missing_at_random} of them of wrong decisions drawn at random (`headrace labels next`)"
            return f"{since}; {self.missing} more, {drawn}, and a better model is trained{at}: only those can prove it"
        if self.missing:
            return f"{since}; {self.missing} more and a better model is trained{at}"
        return f"{since}: enough, the monitor asks for a better model{at}"


def outlooks(wiring: Wiring, decision_ids: Collection[str], app: Application | None) -> list[Outlook]:
    """Of the applications whose decisions these are: of `app`, or of those that ship; what others there are is not
    known without their files."""
    topics = {identity.partition("@")[0] for identity in decision_ids}
    apps = [app] if app is not None else [load_application(name) for name in SHIPPED]
    found = [outlook(wiring, one) for one in apps if one.kind == "classify" and topics & set(one.source_topics)]
    return [one for one in found if one is not None]


def outlook(wiring: Wiring, app: Application) -> Outlook | None:
    """Of an application; None while no release was announced. The monitor counts by the same rules. Raises
    BrokerUnavailable."""
    requests = RetrainRequests(app, RetrainPolicy.of(app.retraining))
    for record in all_records(wiring, FEEDBACK_TOPIC):
        requests.take_label(record)
    drifts = firing_drift(all_records(wiring, ALERTS_TOPIC), app.name)
    return outlook_of(wiring, app, requests, drifts)


def outlook_of(
    wiring: Wiring, app: Application, requests: RetrainRequests, drifts: Sequence[StandingAlert]
) -> Outlook | None:
    """The same, where labels and alerts were read already. requests: that has taken all labels in, and no request.
    drifts: the drift alerts that fire."""
    releases = list(states_of(all_records(wiring, RELEASES_TOPIC), app.name))
    if not releases:
        return None
    champion = releases[-1].champion
    for record in all_records(wiring, RETRAIN_REQUESTS_TOPIC):
        requests.take_request(record)
    serves_since_ms = milliseconds(champion_since(releases))
    found_ms = [drift.found_ms for drift in drifts]
    since_ms = requests.labels_since(champion, serves_since_ms, found_ms, champion_request(releases))
    missing = requests.missing(champion, since_ms, has_episode=bool(drifts))
    at_random = requests.missing_at_random(champion, since_ms, has_episode=bool(drifts))
    now_ms = wall_clock_ms()
    earliest_ms = requests.earliest_ms(now_ms)
    not_before = format_time(earliest_ms) if earliest_ms > now_ms else None
    return Outlook(
        app.name,
        champion,
        requests.labels(since_ms),
        max(missing, 0),
        bool(drifts),
        not_before,
        at_random,
        requests.tests_suffice(champion, since_ms),
    )
