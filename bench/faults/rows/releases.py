"""Faults around releases: announced while workers start, rolled back, on trial across restarts, and a registry that
does not answer. After each, all workers must serve what was announced last."""

import json
import time
from pathlib import Path

from bench.faults.fault import Fault
from bench.faults.scene.processes import STAGED, HeadraceProcess
from bench.faults.scene.product import NAME
from connectors.kafka.client import KafkaReader
from models.errors import HeadraceError
from streams.topics import RELEASES_TOPIC

REGISTRY_DOWN_SECONDS = 20.0
STARTS = 3
CANARY_SHARE = "0.3"


class ReleaseFault(Fault):
    """A row that announces something."""

    def _command(self, *arguments: str) -> None:
        done = self.scene.product.run("models", *arguments)
        self.announced = time.monotonic()
        if done.returncode:
            raise HeadraceError(f"models {' '.join(arguments)} failed ({done.returncode}): {done.stderr[-300:]}")

    def _standing(self) -> str:
        return self.scene.clients.releases()[-1].champion

    def _other_version(self) -> str:
        standing = self._standing()
        return next(version for version in self.scene.shelf.good if version != standing)


class ReleaseRolledBack(ReleaseFault):
    """`headrace models rollback` in the middle of the work."""

    name = "release rolled back"
    guarantee = "once"

    def prepare(self) -> None:
        """There must be something to go back to."""
        self._before = self._standing()
        self._command("promote", f"{NAME}@{self._other_version()}", "--json")
        self.scene.crew.wait_agreed(self._standing(), self.announced, "promoted, to be rolled back")

    def inject(self) -> None:
        """Roll back."""
        self._command("rollback", NAME, "--json")
        self.detail = f"back to {self._before}"

    def is_seen(self) -> bool:
        """Whether the release before stands again, and all workers serve it."""
        self.scene.crew.wait_agreed(self._before, self.announced, self.name)
        return self._standing() == self._before


class ReleaseAnnouncedWhileStarting(ReleaseFault):
    """A worker starts, and while it does another release is promoted: after a moment that the seed draws."""

    name = "release announced while a worker starts"
    guarantee = "once"

    def inject(self) -> None:
        """Start, wait a moment, promote."""
        self._version = self._other_version()
        self._added = self.scene.crew.add_worker()
        moment = self.scene.rng.uniform(0.0, 4.0)
        time.sleep(moment)
        self._command("promote", f"{NAME}@{self._version}", "--json")
        self.detail = f"{self._version}, {moment:.1f} s after {self._added.name}"

    def is_seen(self) -> bool:
        """Whether the new worker serves it as the others do."""
        self._added.wait_ready()
        self.scene.crew.wait_agreed(self._version, max(self.announced, time.monotonic()), f"{self.name}: {self.detail}")
        return self._added.serves(NAME) == self._version

    def heal(self) -> None:
        """The worker was for this only."""
        self.scene.crew.remove_worker(self._added)


class CanaryAcrossRestarts(ReleaseFault):
    """A canary begins; then a worker is stopped and started again: the trial must go on in it."""

    name = "canary across restarts"
    guarantee = "once"

    def prepare(self) -> None:
        """Begin the trial."""
        self._canary = self._other_version()
        self._command("try", f"{NAME}@{self._canary}", "--canary", CANARY_SHARE, "--json")
        self._victim = self._pick(self.scene.crew.workers)

    def inject(self) -> None:
        """Stop a worker and start it again."""
        self._victim.stop()
        self._victim.start()
        self._victim.wait_ready()

    def is_seen(self) -> bool:
        """Whether all workers have the canary, the one that was started again as well."""
        return all(worker.releases(NAME).get("canary") == self._canary for worker in self.scene.crew.workers)

    def heal(self) -> None:
        """End the trial."""
        self._command("try", f"{NAME}@{self._canary}", "--end", "--json")

    def is_recovered(self) -> bool:
        """Whether nobody has it any more."""
        ended = all("canary" not in worker.releases(NAME) for worker in self.scene.crew.workers)
        return ended and super().is_recovered()


class RegistryDown(ReleaseFault):
    """The registry answers 503 for 20 s, and in that time another release is announced: it must be served once the
    registry answers again, and not be refused."""

    name = "registry down"
    guarantee = "once"
    outage = True

    def inject(self) -> None:
        """Switch it off, and announce."""
        self._version = self.detail = self._other_version()
        self.scene.product.switch("registry-down", on=True)
        self._since = time.monotonic()
        self.scene.shelf.announce(self.scene.clients.publisher, self._version)

    def is_seen(self) -> bool:
        """Whether every worker has tried in vain."""
        words = f"release {NAME}@{self._version} cannot be had now"
        return all(words in worker.log.read_text("utf-8", "replace") for worker in self.scene.crew.workers)

    def heal(self) -> None:
        """Let it answer again when the time is over."""
        time.sleep(max(self._since + REGISTRY_DOWN_SECONDS - time.monotonic(), 0.0))
        self.scene.product.switch("registry-down", on=False)
        self.scene.crew.wait_agreed(self._version, time.monotonic(), self.name)
        self.scene.shelf.note(self._version)


class ThreeStartsOnAnEmptyRegistry(Fault):
    """Three workers of another application start at once on an empty registry; the one that trains the first release is
    killed in the middle of it. One release must come of it, and the others serve it."""

    name = "three starts on an empty registry"
    guarantee = "once"
    kill = True

    def prepare(self) -> None:
        """An application of its own, with a registry of its own."""
        scene = self.scene
        self._app = f"fresh{time.monotonic_ns()}"
        self._registry = scene.ground.folder / f"registry-{self._app}"
        toml = scene.ground.folder / f"{self._app}.toml"
        text = (scene.ground.folder / f"{NAME}.toml").read_text("utf-8")
        for name in (f'"{NAME}"', f'"{NAME}.events"'):
            text = text.replace(name, name.replace(NAME, self._app))
        toml.write_text(text, "utf-8")
        environment = scene.product.environment() | {"HEADRACE_REGISTRY": str(self._registry)}
        self._starts = [
            HeadraceProcess(
                f"{self._app}-{number}",
                ["worker", str(toml), "--create-topics"],
                environment,
                scene.ground.folder,
                command=STAGED,
            )
            for number in range(STARTS)
        ]

    def inject(self) -> None:
        """Start all; kill the one that trains."""
        self.scene.product.switch("hold-training", on=True)
        known = set(self._trainings())
        for process in self._starts:
            process.start()
        (training,) = self._wait_for_training(known)
        self._victim = next(process for process in self._starts if process.pid == training)
        self._victim.kill()
        self.scene.product.switch("hold-training", on=False)
        self.detail = f"{self._victim.name} was killed while it trained"

    def is_seen(self) -> bool:
        """Whether the others serve the same release, and so does the victim once it is started again."""
        self._victim.start()
        for process in self._starts:
            process.wait_ready()
        versions = {path.name for path in (self._registry / "models" / self._app).glob("[0-9]*")}
        words = self._words()
        return {process.serves(self._app) for process in self._starts} == versions == set(words) and len(words) == 1

    def heal(self) -> None:
        """They were for this only."""
        for process in self._starts:
            process.stop()

    def _words(self) -> list[str]:
        """The champions announced of the application."""
        reader = KafkaReader(self.scene.cluster.address)
        try:
            records = [record for record in reader.read(RELEASES_TOPIC) if record.key == self._app.encode()]
            return [json.loads(record.value or b"{}")["champion"] for record in records]
        finally:
            reader.close()

    def _trainings(self) -> list[int]:
        return [int(Path(path).name.removeprefix("training-")) for path in self.scene.product.stage.glob("training-*")]

    def _wait_for_training(self, known: set[int]) -> set[int]:
        return self.wait_for(lambda: set(self._trainings()) - known, "nobody trains")
