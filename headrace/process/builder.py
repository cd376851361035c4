"""Builds the four roles from the wiring: each a Faust app with an engine behind it, ready for
`headrace.process.runtime`.

What only one of the other roles needs is imported where that role is added: a worker's restart would wait for it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from connectors.ports import DecisionStore
from headrace.applications import text_mask
from headrace.conversations_before import conversations_before
from headrace.process import start_offsets
from headrace.process.broker_probe import BrokerProbe, ClusterProbe
from headrace.process.consumer_groups import (
    OLD_INDEXER_GROUP,
    OLD_MONITOR_GROUP,
    OLD_RETRAINER_GROUP,
    ConsumerGroup,
    dispatcher_group,
    indexer_group,
    monitor_group,
    notifier_group,
    retrainer_group,
    worker_group,
)
from headrace.process.health import Health
from headrace.process.memory import MemoryTrim
from headrace.process.release_control import ReleaseControl
from headrace.process.source_topics import source_states
from headrace.process.watch import Watch, look_seconds
from headrace.slot_finders import slot_finder
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams import topics
from streams.application import Application
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.classify.worker import worker_pipeline
from streams.engine.dead_letter_limit import DeadLetterLimit
from streams.engine.delivery import Acknowledge, Outcome
from streams.engine.pipeline import BatchPipeline
from streams.faust_runtime.producer import Producer
from streams.faust_runtime.role import Role
from streams.indexer import IndexerCounts, indexer_pipeline
from streams.metrics import Metrics
from streams.recommend.handler import RecommendHandler
from streams.wire.first_dead_letters import FirstDeadLetters
from streams.wire.records import Release
from streams.wire.release_follower import ReleaseFollower

if TYPE_CHECKING:
    from headrace.tools.answers.live import LiveBank
    from headrace.training.retrain_job import RetrainJob
    from streams.monitor.handler import MonitorHandler
    from streams.monitor.retrain_policy import RetrainPolicy

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ProcessRoles:
    """Roles of one process and what goes with them."""

    roles: list[Role] = field(default_factory=list)
    servings: dict[str, Serving] = field(default_factory=dict)
    recommenders: dict[str, RecommendHandler] = field(default_factory=dict)
    releases: ReleaseControl | None = None
    stores: list[DecisionStore] = field(default_factory=list)
    chores: list[Callable[[], None]] = field(default_factory=list)
    indexed: IndexerCounts = field(default_factory=IndexerCounts)
    monitors: "dict[str, MonitorHandler]" = field(default_factory=dict)
    monitor_follower: ReleaseFollower | None = None
    job: "RetrainJob | None" = None
    on_swapped: list[Callable[[Release, float], None]] = field(default_factory=list)
    closers: list[Callable[[], None]] = field(default_factory=list)

    def serves(self) -> dict[str, str]:
        """Application to the version that decides."""
        return {name: serving.current.version for name, serving in self.servings.items()}

    def not_ready(self) -> list[str]:
        """Why this process should not be counted on, as far as releases are concerned."""
        return self.releases.not_ready() if self.releases is not None else []

    def close(self) -> None:
        """Release what the roles used."""
        if self.releases is not None:
            self.releases.close()
        if self.monitor_follower is not None:
            self.monitor_follower.close()
        for monitor in self.monitors.values():
            monitor.close()
        for store in self.stores:
            store.close()
        for close in self.closers:
            close()


class RoleBuilder:
    """Adds roles to a process, one kind at a time, for the same applications."""

    release_control: type[ReleaseControl] = ReleaseControl

    def __init__(self, wiring: Wiring, apps: Sequence[Application], *, from_beginning: bool, metrics: Metrics) -> None:
        self._wiring, self._apps, self._from_beginning, self._metrics = wiring, list(apps), from_beginning, metrics
        self._registry = wiring.registry()
        self._admin = wiring.admin()
        self.built = ProcessRoles()
        for app in apps:
            metrics.follow_app(app.name)

    def create_topics(self, *, with_sources: bool) -> list[str]:
        """Create what is missing, source topics only where asked to; returns the names."""
        specs = topics.specs if with_sources else topics.own_specs
        wanted = specs(self._apps, self._wiring.settings.replication)
        if names := [app.decisions_topic for app in self._apps if app.hand_over is not None]:
            standing = {name: state.partitions for name, state in self._admin.describe(names).items()}
            wanted = topics.beside_standing(wanted, self._apps, standing)
        created = self._admin.ensure(wanted)
        if created:
            log.info("created topics: %s", ", ".join(created))
        return created

    def watch(self, health: Health) -> Watch:
        """What looks after the roles that were added: their positions, the broker's topics, the stores."""
        settings = self._wiring.settings
        read = sorted({topic for role in self.built.roles for topic in role.topics})
        catalogues = {app.recommend.catalog_topic for app in self._apps}  # which may come later
        names = [spec.name for spec in topics.specs(self._apps) if spec.name not in catalogues]
        chores: list[Callable[[], None]] = [*self.built.chores, MemoryTrim()]
        if self.built.releases is not None:
            chores.append(self.built.releases.tell_again)
        look = ClusterProbe(self._wiring.admin, names, read)
        lookout = BrokerProbe(look, self.built.stores, look_seconds(settings.stuck_seconds), chores)
        return Watch(
            settings.stuck_seconds,
            lookout=lookout,
            read=read,
            metrics=self._metrics,
            health=health,
            serves=self.built.serves,
            not_ready=self.built.not_ready,
        )

    def add_workers(self, progress: Callable[[str, int, int], None] = lambda *_: None) -> None:
        """A worker per application, with its champion loaded, proved and warm. Raises ConfigError where a source topic
        is not there."""
        sources = source_states(self._admin, self._apps)
        epochs = {topic: state.epoch for topic, state in sources.items()}
        releases = self._release_control()
        for app in self._apps:
            if app.kind == "recommend":
                recommending = self._recommending(app, epochs, releases)
                self.built.recommenders[app.name] = recommending
                self._metrics.follow_recommender(app.name, recommending.taken)
                handler: RecommendHandler | ClassifyHandler = recommending
            else:
                self.built.servings[app.name] = releases.serve(app, progress)
                partitions = sum(sources[topic].partitions for topic in app.source_topics)
                pictures = None if app.source.picture is None else self._wiring.picture_source()
                handler = ClassifyHandler(
                    app,
                    self.built.servings[app.name],
                    epochs,
                    partitions=partitions,
                    picture_source=pictures,
                    slot_finder=slot_finder(app) if app.slots else None,
                    past=conversations_before(self._wiring, app, worker_group(app).name),
                    bank=self._answer_bank(app),
                )
                if handler.pictures is not None:
                    self._metrics.follow_pictures(app.name, handler.pictures.counts)
                    self.built.closers.append(handler.pictures.close)
                self._metrics.follow_model(app.name, handler.failures.counts)
            self._metrics.follow_source(app.name, handler.reader.times_set_aside)
            self._add_worker(app, handler)

    def _answer_bank(self, app: Application) -> "LiveBank | None":
        if app.answer_bank is None:
            return None
        from headrace.tools.answers.publishing import carry_over, live_bank

        if self._wiring.broker().is_embedded:
            carry_over(self._wiring, app)  # its topics are gone with each end
        bank = live_bank(self._wiring, app)
        bank.start()
        self.built.closers.append(bank.close)
        return bank

    def _recommending(self, app: Application, epochs: Mapping[str, str], releases: ReleaseControl) -> RecommendHandler:
        from headrace.process.recommender import CatalogueFollower, recommend_handler

        topic = app.recommend.catalog_topic
        catalogue = None if topic is None else CatalogueFollower(self._wiring, topic)
        if catalogue is not None:
            self.built.closers.append(catalogue.close)
        follow_maps = partial(releases.serve_map, app)
        return recommend_handler(self._wiring, app, epochs, worker_group(app).name, catalogue, follow_maps)

    def add_indexer(self) -> None:
        """An indexer per application, all of them with the same store."""
        from headrace.process.retention import Retention

        store = self._wiring.store()
        with_stories = [app.name for app in self._apps if app.stories is not None]
        store.prepare({app.name: app.head_names for app in self._apps}, with_stories)
        self.built.stores.append(store)
        if days := self._wiring.settings.retention_days:
            self.built.chores.append(Retention(store, [app.name for app in self._apps], days))
        self._metrics.follow_index(self.built.indexed)
        for app in self._apps:
            group = indexer_group(app)
            start_offsets.take_over(self._admin, OLD_INDEXER_GROUP, group.name, group.topics)
            self._add_indexer(app, group, store)

    def add_monitor(self, policy: "RetrainPolicy | None" = None, seed: int = 0) -> None:
        """A monitor per application that classifies. Of several in a group one is active, the others stand by. policy:
        None: what each application's file says."""
        from headrace.process.monitor_sources import KafkaMonitorSources
        from headrace.releases.steps import ReleaseSteps
        from streams.monitor.handler import MonitorHandler
        from streams.monitor.retrain_policy import RetrainPolicy

        release_log = self._wiring.release_log()
        follower = self.built.monitor_follower = ReleaseFollower(self._wiring.reader, settle=release_log.settle)
        follower.start()
        steps = ReleaseSteps(self._registry, release_log)
        for app in self._apps:
            if app.kind == "classify":
                sources = KafkaMonitorSources(self._wiring, self._registry, app, follower)
                wanted = policy or RetrainPolicy.of(app.retraining)
                self._add_monitor(MonitorHandler(app, sources, wanted, seed=seed, take_step=steps.take))
        if not self.built.monitors:
            log.warning("nothing to watch: none of %s classifies", ", ".join(app.name for app in self._apps))

    def add_notifier(self) -> None:
        """A notifier per application that has receivers. Of several in a group one is active, the others stand by."""
        from headrace.process.notifier_sources import KafkaNotifierSources
        from streams.notifier.service import NotifierService

        sources = KafkaNotifierSources(self._wiring)
        self.built.closers.append(sources.close)
        for app in self._apps:
            if app.receivers:
                group = notifier_group(app)
                # its state comes from the topics, so where it begins to listen loses nothing
                epochs = start_offsets.pin(self._admin, group.name, group.topics, from_beginning=True)
                service = NotifierService(app, sources, text_mask(app))
                self._metrics.follow_notifier(app.name, service.counts, service.pending)
                self.built.roles.append(
                    Role(
                        self._wiring.faust_app(group.name, epochs),
                        list(group.topics),
                        partial(service.pipeline, observer=self._metrics),
                        holder=service,
                    )
                )

    def add_dispatcher(self) -> None:
        """A dispatcher per application with `[hand_over]`. Raises ConfigError where topics do not fit together."""
        from headrace.dispatched_before import DispatcherPast
        from streams.dispatcher.service import DispatcherService

        for app in self._apps:
            if app.hand_over is not None:
                group = dispatcher_group(app)
                self._refuse_other_partitions(app)
                epochs = start_offsets.pin(self._admin, group.name, group.topics, from_beginning=self._from_beginning)
                faust_app = self._wiring.faust_app(group.name, epochs)
                past = DispatcherPast(self._wiring, app, group.name, epochs)
                send_all = Producer(faust_app).send_all
                service = DispatcherService(app, send_all, past, epochs, text_mask(app))
                self._metrics.follow_dispatcher(
                    app.name, service.counts, service.standing, service.timers_silence_seconds
                )
                self.built.roles.append(
                    Role(
                        faust_app,
                        list(group.topics),
                        partial(service.pipeline, observer=self._metrics),
                        holder=service,
                    )
                )

    def _refuse_other_partitions(self, app: Application) -> None:
        """What is of one conversation must come to one dispatcher."""
        states = self._admin.describe((app.decisions_topic, *app.dispatch_topics))
        if apart := topics.told_apart({name: state.partitions for name, state in states.items()}):
            raise ConfigError(apart)

    def add_retrainer(self, seed: int = 0) -> None:
        """A retrainer per application; jobs run in a child process, one at a time. Raises ConfigError where what one's
        strategy needs is not installed."""
        from headrace.training.retrain_job import RetrainJob
        from headrace.training.trainers import require_libraries_of

        apps = [app for app in self._apps if app.kind == "classify"]
        require_libraries_of([app.retraining.strategy for app in apps])
        self.built.job = RetrainJob(self._wiring, apps, seed=seed, on_sifted=self._metrics.sifted)
        for app in apps:
            self._add_retrainer(app, self.built.job)

    def _add_retrainer(self, app: Application, job: "RetrainJob") -> None:
        from streams.retrainer import retrainer_pipeline

        group = retrainer_group(app)
        start_offsets.take_over(self._admin, OLD_RETRAINER_GROUP, group.name, group.topics)
        epochs = start_offsets.pin(self._admin, group.name, group.topics, from_beginning=self._from_beginning)
        faust_app = self._wiring.faust_app(group.name, epochs)
        send = Producer(faust_app).send_all
        self.built.roles.append(
            Role(
                faust_app,
                list(group.topics),
                lambda ack: retrainer_pipeline(app.name, job, send, ack, self._metrics.retrained),
                may_take_long=lambda: True,
            )
        )

    def _release_control(self) -> ReleaseControl:
        def on_swapped(release: Release, seconds: float) -> None:
            for tell in self.built.on_swapped:
                tell(release, seconds)

        self.built.releases = self.release_control(self._wiring, self._registry, self._metrics, on_swapped)
        self.built.releases.start()
        return self.built.releases

    def _add_monitor(self, handler: "MonitorHandler") -> None:
        from streams.monitor.service import MonitorService

        group = monitor_group(handler.app)
        start_offsets.take_over(self._admin, OLD_MONITOR_GROUP, group.name, group.topics)
        epochs = start_offsets.pin(self._admin, group.name, group.topics, from_beginning=self._from_beginning)
        faust_app = self._wiring.faust_app(group.name, epochs)
        left_out = partial(self._metrics.left_out, handler.app.name)
        service = MonitorService(handler, Producer(faust_app).send_all, left_out)
        self.built.monitors[handler.app.name] = handler
        self._metrics.follow_monitor(handler.app.name, handler.counts)
        self.built.roles.append(
            Role(
                faust_app,
                group.topics,
                lambda ack: service.pipeline(ack, self._metrics),
                may_take_long=lambda: handler.is_rebuilding,  # it reads topics and simulates thresholds
                holder=service,
            )
        )

    def _add_worker(self, app: Application, handler: RecommendHandler | ClassifyHandler) -> None:
        group = worker_group(app)
        epochs = start_offsets.pin(self._admin, group.name, group.topics, from_beginning=self._from_beginning)
        faust_app = self._wiring.faust_app(group.name, epochs)
        send = Producer(faust_app).send_all
        limit = DeadLetterLimit(app.max_dead_letter_share)
        first_letters, left_out = FirstDeadLetters(app.name), partial(self._metrics.left_out, app.name)

        def on_outcomes(outcomes: Sequence[Outcome]) -> None:
            """Confirmed, and not acknowledged yet: what the limit refuses is decided again at the next start."""
            self._metrics.decided(app.name, outcomes)
            first_letters.observe(outcomes)
            limit.observe_outcomes(outcomes)

        self.built.roles.append(
            Role(
                faust_app,
                [app.topic],
                lambda ack: worker_pipeline(app, handler, send, ack, on_outcomes, self._metrics, left_out),
                urgent_topics=app.priority_topics,
                holder=handler,
            )
        )

    def _add_indexer(self, app: Application, group: ConsumerGroup, store: DecisionStore) -> None:
        # what was decided and not indexed yet must not be skipped, so an indexer always starts at the beginning
        epochs = start_offsets.pin(self._admin, group.name, group.topics, from_beginning=True)
        faust_app = self._wiring.faust_app(group.name, epochs)
        send, counts = Producer(faust_app).send_all, self.built.indexed
        limit = DeadLetterLimit(app.max_dead_letter_share)
        beside: dict[str, Literal["story", "window"]] = {app.stories_topic: "story", app.trends_topic: "window"}

        def pipeline(acknowledge: Acknowledge) -> BatchPipeline:
            return indexer_pipeline(store, send, acknowledge, counts, self._metrics, limit, beside)

        self.built.roles.append(Role(faust_app, group.topics, pipeline))
