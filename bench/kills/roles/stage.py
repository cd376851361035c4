"""The topics, the store and the roles of one application, each a process of its own, for one run."""

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from bench.faults.waiting import TimedOut, wait_while_moving
from bench.kills.roles.judging import Seen
from bench.kills.roles.replaying import replayed_decisions
from bench.kills.roles.role import STOP_SECONDS, RoleProcess
from bench.kills.scene import Receiver
from connectors.local_services import services
from connectors.ports import Record
from connectors.registry import FolderRegistry
from headrace.applications import load_application
from headrace.process.consumer_groups import ROLES, consumer_groups
from headrace.releases.announcing import make_champion
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from streams.application import Application
from streams.topics import ALERTS_TOPIC, specs

SETTLED_SECONDS: Final = 600.0  # a monitor that starts on a busy machine computes thresholds for minutes


@dataclass(frozen=True, slots=True)
class Model:
    """A release, as `models.bundle.pack` gives it."""

    manifest: Mapping[str, Any]
    blobs: Mapping[str, bytes]


class Stage:
    """A context, on a broker of its own. roles: those that the application needs, in the order of `ROLES`."""

    def __init__(
        self,
        wiring: Wiring,
        file: Path,
        folder: Path,
        model: Model | None,
        roles: Collection[str],
        kafka_cache: Path | None = None,
        *,
        threads: int = 1,
    ) -> None:
        """file: the application's. model: its champion; None: it ranks items. roles: which take part, of those that it
        needs; none: all. kafka_cache: where the program of a Kafka is kept, which is started for it; None: an embedded
        broker. threads: of each role's encoder; 0: one a core. Raises
        ServiceUnavailable where that Kafka cannot be."""
        folder.mkdir(parents=True)
        self._threads = threads
        with contextlib.ExitStack() as closing:
            self._receiver = closing.enter_context(Receiver())
            self.app = _copied(file, folder, self._receiver)
            self.wiring = closing.enter_context(_on_broker(wiring, folder, kafka_cache))
            self._admin = self.wiring.admin()
            closing.callback(self._admin.close)
            self._admin.ensure(specs([self.app]))
            if model is not None:
                self._publish(folder, model)
            self._closing = closing.pop_all()
        self.roles = tuple(role for role in ROLES if consumer_groups(role, [self.app]) and role in (roles or ROLES))
        self.processes = {role: self._process(role, folder) for role in self.roles}

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.is_alive:
                process.kill()
        self._closing.close()

    def start(self) -> None:
        """All roles, one after the other: six that start at once on two cores take as long. Raises TimedOut."""
        for process in self.processes.values():
            process.start()
            process.wait_ready()

    def settle(self) -> None:
        """Wait until each group has read all that stands. Raises TimedOut where it does not, or a role has left."""
        still = [0]

        def is_settled() -> bool:
            for process in self.processes.values():
                if not process.is_alive:
                    raise TimedOut(f"{process.name} left with code {process.code}: {process.tail()}")
            still[0] = 0 if self._behind() else still[0] + 1
            return still[0] >= 3  # what one role has read another may still make records of

        moving = self._positions, SETTLED_SECONDS, lambda: f"not read: {self._behind()}; {self.tails()}"
        wait_while_moving(is_settled, *moving, poll_seconds=0.5)

    def tails(self) -> str:
        """The ends of all logs."""
        return " || ".join(f"{name}: {process.tail()[-400:]}" for name, process in self.processes.items())

    def seen(self) -> Seen:
        """What stands in topics and store by now."""
        app = self.app
        store = self.wiring.store()
        try:
            store.prepare({app.name: app.head_names})
            stored = list(store.ids(app.name))
        finally:
            store.close()
        source = [f"{record.partition}-{record.offset}" for record in self.records(app.topic)]
        return Seen(
            source=source,
            decisions=list(self._documents(app.decisions_topic)),
            replayed=replayed_decisions(self.wiring, app, self.wiring.settings.home_path),
            stored=stored,
            answers=list(self._documents(app.answers_topic)) if app.hand_over else [],
            held=self._last(app.conversations_topic) if app.hand_over else {},
            stories=list(self._documents(app.stories_topic)) if app.stories else [],
            trends=self._last(app.trends_topic) if app.stories else {},
            alerts=[one for one in self._documents(ALERTS_TOPIC) if one["values"].get("app") == app.name],
            told=[one.key for one in self._receiver.told],
            dead_letters=[str(one.get("reason")) for one in self._documents("deadletters")],
        )

    def records(self, topic: str) -> Iterator[Record]:
        """All of it."""
        return all_records(self.wiring, topic)

    def _documents(self, topic: str) -> Iterator[dict[str, Any]]:
        return (orjson.loads(record.value) for record in self.records(topic) if record.value is not None)

    def _last(self, topic: str) -> dict[str, dict[str, Any]]:
        last: dict[str, dict[str, Any]] = {}
        for record in self.records(topic):
            key = (record.key or b"").decode()
            last.pop(key, None)
            if record.value is not None:
                last[key] = orjson.loads(record.value)
        return last

    def _behind(self) -> list[str]:
        """Groups and topics of which not all is read."""
        return [f"{group} in {topic}" for group, topic in self._readings() if self._is_behind(group, topic)]

    def _positions(self) -> list[Mapping[int, int]]:
        return [self._admin.committed(group, topic) for group, topic in self._readings()]

    def _readings(self) -> list[tuple[str, str]]:
        groups = [group for role in self.roles for group in consumer_groups(role, [self.app])]
        return [(group.name, topic) for group in groups for topic in group.topics]

    def _is_behind(self, group: str, topic: str) -> bool:
        committed = self._admin.committed(group, topic)
        ends = self._admin.offsets(topic)
        return any(end > start and committed.get(place, start) < end for place, (start, end) in ends.items())

    def _publish(self, folder: Path, model: Model) -> None:
        registry = FolderRegistry(str(folder / "registry"))
        version = registry.publish(self.app.name, model.manifest, model.blobs)
        make_champion(self.wiring, registry, self.app.name, version, by="bench")

    def _process(self, role: str, folder: Path) -> RoleProcess:
        settings = self.wiring.settings
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        environment = kept | {
            "HEADRACE_BROKER": settings.broker,
            "HEADRACE_HOME": str(folder),
            "HEADRACE_CACHE": str(settings.cache.expanduser()),
            "HEADRACE_THREADS": str(self._threads),
            "HEADRACE_ALERT_HOSTS": "127.0.0.1",
            "HEADRACE_STOP_SECONDS": f"{STOP_SECONDS:g}",
            "PYTHONUNBUFFERED": "1",
        }
        own = [role, self.app.given_as, "--from-beginning", "--create-topics"]
        one_order = {spec.name for spec in specs([self.app]) if spec.partitions == 1}
        return RoleProcess(own, environment, folder, one_order)


@contextlib.contextmanager
def _on_broker(wiring: Wiring, folder: Path, kafka_cache: Path | None) -> Iterator[Wiring]:
    """Settings with a home, a registry, a store and a broker of their own. The broker ends with it."""
    own = {"home": folder, "registry": "", "store": ""}
    if kafka_cache is not None:
        try:
            kafka = services.start(folder / "services", elasticsearch=False, cache=kafka_cache).kafka
            yield Wiring(wiring.settings.model_copy(update=own | {"broker": f"kafka://{kafka}"}))
        finally:
            services.stop(folder / "services")
        return
    alone = Wiring(wiring.settings.model_copy(update=own | {"broker": "embedded"}))
    try:
        alone.start_embedded_broker()
        yield alone
    finally:
        alone.close()


def _copied(file: Path, folder: Path, receiver: Receiver) -> Application:
    """The application's file, beside all that it may name, with somebody who is told of alerts."""
    for beside in file.parent.iterdir():
        if beside.name != file.name:
            (folder / beside.name).symlink_to(beside.resolve())
    text, copy = file.read_text("utf-8"), folder / file.name
    app = load_application(str(file))
    if app.kind == "classify" and not app.receivers:
        text += f'\n[[receivers]]\nname = "bench"\nkind = "webhook"\nurl = "http://127.0.0.1:{receiver.port}/alerts"\n'
    copy.write_text(text, encoding="utf-8")
    return load_application(str(copy))
