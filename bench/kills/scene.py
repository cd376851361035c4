"""One run: every role a process of its own, customers, people, a receiver of alerts, and who kills."""

import contextlib
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import orjson

from bench.bed import Bed
from bench.faults.scene.processes import HeadraceProcess
from bench.faults.waiting import TimedOut, wait_until, wait_while_moving
from bench.kills.judging import Outcome, Told
from bench.kills.story import ASKED_SHARE, EVENTS, stream
from connectors.registry import FolderRegistry
from headrace.demo.scenario import LabelledText, Pools
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import MessageError
from retrain import training_data
from retrain.job import TrainedRelease
from retrain.text_keys import denser_tests, is_held_out
from streams.application import Application, parse_application
from streams.clock import wall_clock_ms
from streams.topics import ALERTS_TOPIC, FEEDBACK_TOPIC, RELEASE_HISTORY_TOPIC, RELEASES_TOPIC, RETRAIN_REQUESTS_TOPIC
from streams.wire.records import (
    Alert,
    Feedback,
    ReleaseStep,
    RetrainRequest,
    decision_id,
    decode,
    format_time,
)
from streams.wire.release_state import states_of

ROLES: Final = ("worker", "indexer", "monitor", "retrainer", "notifier")
KILLED: Final = ("worker", "monitor", "retrainer", "notifier")
PARTITIONS: Final = 4
RATE: Final = 25.0
DOWN_SECONDS: Final = (0.2, 3.0)
QUIET_SECONDS: Final = 6.0  # in which nothing new comes, once all that was asked for is answered
PATIENCE_SECONDS: Final = 420.0
STOP_SECONDS: Final = 40.0  # of a process that is killed


class Scene:
    """Within a `with` block. killed: how often each role was."""

    def __init__(self, wiring: Wiring, app: Application, first: TrainedRelease, pools: Pools, seed: int) -> None:
        self._rng, self._pools, self._seed = random.Random(f"kills {seed}"), pools, seed
        self._closing = contextlib.ExitStack()
        self._bed = self._closing.enter_context(Bed(wiring, app))
        self._receiver = self._closing.enter_context(Receiver())
        topic = f"{self._bed.run}.texts"
        path = self._bed.write(f"{self._bed.run}.toml", _toml(self._bed.run, topic, app, self._receiver.port))
        self.app = parse_application(path.read_text("utf-8"), path.parent, str(path))
        self._publish(first)
        self._bed.create_topic(topic, PARTITIONS)
        self._bed.create_output(self._bed.run, PARTITIONS)
        self.wiring = Wiring(wiring.settings.model_copy(update={"home": path.parent, "registry": "", "store": ""}))
        self._processes = {role: self._process(role, path) for role in ROLES}
        self._people = People(self.wiring)
        admin = self.wiring.admin()
        self._epoch = admin.describe([topic])[topic].epoch
        admin.close()
        self.killed: Counter[str] = Counter()

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            if process.is_alive:
                process.kill()
        self._closing.close()

    def play(self, kills: int) -> Outcome:
        """Write all events and kill so many roles meanwhile; what stands when all is quiet. Raises TimedOut."""
        for process in self._processes.values():
            process.start()
        for process in self._processes.values():
            process.wait_ready()
        # a monitor that is still rebuilding its state tells of nothing, and what is released meanwhile is not its doing
        wait_until(self._is_watched, PATIENCE_SECONDS, lambda: f"nobody watches: {self._processes['monitor'].tail()}")
        seconds = EVENTS / RATE
        due = sorted(self._rng.uniform(0.1 * seconds, 1.6 * seconds) for _ in range(kills))
        killer = threading.Thread(target=self._kill, args=(due,), daemon=True)
        killer.start()
        self._write()
        killer.join(2 * seconds + kills * STOP_SECONDS)
        self._wait_until_quiet()
        served = str(self._processes["worker"].serves(self.app.name))
        for process in self._processes.values():
            process.stop()
        return self._outcome(served)

    def _is_watched(self) -> bool:
        return "the monitor is active" in self._processes["monitor"].tail()

    def _kill(self, due: list[float]) -> None:
        started = time.monotonic()
        for at in due:
            time.sleep(max(0.0, started + at - time.monotonic()))
            role = self._rng.choice(KILLED)
            self._processes[role].kill()
            self.killed[role] += 1
            time.sleep(self._rng.uniform(*DOWN_SECONDS))
            self._processes[role].start()

    def _write(self) -> None:
        publisher, started = self.wiring.publisher(), time.monotonic()
        try:
            for number, text in enumerate(stream(self._pools, self._seed)):
                time.sleep(max(0.0, started + number / RATE - time.monotonic()))
                publisher.send(
                    self.app.topic, orjson.dumps({"text": text.text, "n": number}), str(number % 97).encode()
                )
                ((topic, partition, offset),) = publisher.flush()
                self._people.saw(decision_id(topic, self._epoch, partition, offset), text)
        finally:
            publisher.close()

    def _wait_until_quiet(self) -> None:
        """All events stored, all requests answered, every process ready, and nothing new for a while."""
        quiet_since, before = time.monotonic(), tuple[int, ...]()

        def is_quiet() -> bool:
            nonlocal quiet_since, before
            for process in self._processes.values():
                if not process.is_alive:
                    raise TimedOut(f"{process.name} left with code {process.code}: {process.tail()}")
            now = self._progress()
            if now != before or not self._is_answered() or now[0] < EVENTS:
                quiet_since, before = time.monotonic(), now
            return time.monotonic() - quiet_since > QUIET_SECONDS

        moving = self._progress, PATIENCE_SECONDS, lambda: f"not quiet: {self._progress()}"
        wait_while_moving(is_quiet, *moving, poll_seconds=1.0)

    def _progress(self) -> tuple[int, ...]:
        records = [len(list(all_records(self.wiring, topic))) for topic in (ALERTS_TOPIC, RETRAIN_REQUESTS_TOPIC)]
        return len(self._stored()), *records, self._people.given, len(self._receiver.told)

    def _is_answered(self) -> bool:
        answered = {step.request for step in self._of_app(ReleaseStep, RELEASE_HISTORY_TOPIC)}
        return all(request.id in answered for request in self._of_app(RetrainRequest, RETRAIN_REQUESTS_TOPIC))

    def _stored(self) -> list[str]:
        store = self.wiring.store()
        try:
            store.prepare({self.app.name: self.app.head_names})
            return list(store.ids(self.app.name))
        finally:
            store.close()

    def _outcome(self, served: str) -> Outcome:
        registry = FolderRegistry(str(self.wiring.settings.home / "registry"))
        versions = {
            version: str(json.loads(registry.manifest(self.app.name, version)).get("retraining", {}).get("request", ""))
            for version in registry.versions(self.app.name)
        }
        return Outcome(
            [alert for alert in self._read(Alert, ALERTS_TOPIC) if alert.values.get("app") == self.app.name],
            self._of_app(RetrainRequest, RETRAIN_REQUESTS_TOPIC),
            list(states_of(all_records(self.wiring, RELEASES_TOPIC), self.app.name)),
            versions,
            registry.champion(self.app.name),
            served,
            self._stored(),
            list(self._people.truth),
            list(self._receiver.told),
            self.killed["notifier"],
        )

    def _of_app(self, kind: type[Any], topic: str) -> list[Any]:
        own = self.app.name
        return [
            one for one in self._read(kind, topic) if own in (getattr(one, "app", None), getattr(one, "model", None))
        ]

    def _read(self, kind: type[Any], topic: str) -> Iterator[Any]:
        for record in all_records(self.wiring, topic):
            with contextlib.suppress(MessageError):
                yield decode(kind, record.value)

    def _publish(self, release: TrainedRelease) -> None:
        manifest, blobs = dict(release.manifest), dict(release.blobs)
        manifest["files"] = dict(manifest["files"])
        training_data.attach(manifest, blobs, release.dataset)
        self._bed.publish(self._bed.run, manifest, blobs)

    def _process(self, role: str, path: Path) -> HeadraceProcess:
        environment = self._bed.environment | {"HEADRACE_ALERT_HOSTS": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
        return HeadraceProcess(
            role,
            [role, str(path), "--from-beginning", "--create-topics"],
            environment,
            path.parent,
            instance=f"{self._bed.run}-{role}",
        )


class People:
    """Label some texts, whatever was decided: who decides by the text alone labels the same ones in every run."""

    def __init__(self, wiring: Wiring) -> None:
        self._publisher = wiring.publisher()
        self.truth: dict[str, LabelledText] = {}
        self._labelled: set[str] = set()
        self.given = 0

    def saw(self, identity: str, text: LabelledText) -> None:
        """An event stands in the topic; its decision will have this id."""
        self.truth[identity] = text
        digest = int.from_bytes(hashlib.sha256(text.text.encode()).digest()[:8])
        tests = is_held_out(text.text)
        share = denser_tests(ASKED_SHARE)[0 if tests else 1]
        if text.text in self._labelled or digest / 2**64 >= share:
            return
        self._labelled.add(text.text)
        for head, label in text.labels.items():
            said = Feedback(
                decision_id=identity,
                head=head,
                label=label,
                by=f"person-{digest % 3}",
                at=format_time(wall_clock_ms()),
                introduces=True,
                chosen="random",
                probability=share,
                tests=tests,
            )
            self._publisher.send(FEEDBACK_TOPIC, said.encode(), said.key)
        self._publisher.flush()
        self.given += 1


class Receiver:
    """A webhook's receiver on a port of its own. told: what it answered with success."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        heard = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said: Mapping[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.append(Told(said["key"], said["fingerprint"], said["state"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._http.server_address[1])

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def _toml(name: str, topic: str, app: Application, port: int) -> str:
    heads = "".join(f'[[heads]]\nname = "{head.name}"\ncolumn = "{head.column}"\n' for head in app.heads)
    return (
        f'name = "{name}"\ntopic = "{topic}"\npartitions = {PARTITIONS}\n[source]\ntext = "/text"\n{heads}'
        f"[retraining]\nafter_episode = 200\n"
        f'[[receivers]]\nname = "desk"\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/alerts"\n'
    )
