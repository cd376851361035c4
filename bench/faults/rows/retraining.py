"""Faults of retrainers: whatever befalls them, a request leads to one retraining and one announcement."""

import time
from pathlib import Path

from bench.faults.fault import Fault
from bench.faults.ledger import Retrained
from bench.faults.scene.product import NAME
from streams.clock import wall_clock_ms
from streams.topics import FEEDBACK_TOPIC, RETRAIN_REQUESTS_TOPIC
from streams.wire.records import Feedback, Release, RetrainRequest, format_time

ANNOUNCED_SECONDS = 180.0  # a session and a lease must run out, and the machine may be busy


class RetrainerFault(Fault):
    """A request, and something that goes wrong while it is answered. hold: the switch that keeps it there."""

    hold = ""

    def prepare(self) -> None:
        """One retrainer, a labelled decision, a request about the champion."""
        scene = self.scene
        while len(scene.crew.retrainers) > 1:
            scene.crew.retrainers.pop().stop()
        self._retrainer = scene.crew.retrainers[0] if scene.crew.retrainers else scene.crew.add_retrainer()
        self._known = {path.name for path in scene.product.stage.glob("training-*")}
        at, champion = format_time(wall_clock_ms()), scene.clients.releases()[-1].champion
        (partition, offset), head = scene.clients.decided_after(0)[0].source, scene.product.app.head_names[0]
        decision = f"{scene.product.app.topic}@{scene.clients.epoch}-{partition}-{offset}"
        known = scene.shelf.known_label(head)
        label = Feedback(decision_id=decision, head=head, label=known, by="faults", at=at)
        scene.clients.publisher.send(FEEDBACK_TOPIC, label.encode(), label.key)
        self._request = RetrainRequest(
            id=f"faults-{time.monotonic_ns()}", app=NAME, reason=self.name, evidence={"version": champion}, at=at
        )
        scene.clients.publisher.flush()
        scene.product.switch(self.hold, on=True)
        self._is_recorded, self._announced = False, 0.0

    def inject(self) -> None:
        """Ask, and strike at the held moment."""
        self.scene.clients.publisher.send(RETRAIN_REQUESTS_TOPIC, self._request.encode(), NAME.encode())
        self.scene.clients.publisher.flush()
        self.wait_for(self._is_held, f"{self._retrainer.name} does not come to {self.hold}: {self._retrainer.tail()}")
        self._strike()

    def heal(self) -> None:
        """Let it go on, start what was killed, and wait until all workers serve what comes of it."""
        self.scene.product.switch(self.hold, on=False)
        if not self._retrainer.is_alive:
            self._retrainer.start()
        words = self.wait_for(self._words, "nothing is announced", ANNOUNCED_SECONDS)
        self.scene.crew.wait_agreed(words[-1].champion, self._announced, self.name)

    def is_recovered(self) -> bool:
        """Whether the registry has noted what was announced; then it is written down how often there was any."""
        words = self._words()
        if self.scene.shelf.champion != words[-1].champion or not super().is_recovered():
            return False
        if not self._is_recorded:
            self._is_recorded = True
            versions = len(self.scene.shelf.versions_for(self._request.id))
            self.scene.ledger.append(Retrained(self._request.id, versions, len(words), time.monotonic()))
        return True

    def _is_held(self) -> bool:
        raise NotImplementedError

    def _strike(self) -> None:
        self._retrainer.kill()
        self.detail = self._retrainer.name

    def _words(self) -> list[Release]:
        """What was announced for the request."""
        words = [release for release in self.scene.clients.releases() if release.request == self._request.id]
        if words:
            self._announced = self._announced or time.monotonic()
        return words

    def _trainings(self) -> set[str]:
        return {path.name for path in self.scene.product.stage.glob("training-*")} - self._known


class RetrainerKilledWhileTraining(RetrainerFault):
    """kill -9 in the middle of a training, whose process must end with its parent."""

    name = "retrainer killed while training"
    guarantee = "once"
    kill = True
    hold = "hold-training"

    def _is_held(self) -> bool:
        return bool(self._trainings())

    def is_seen(self) -> bool:
        """Whether the training process is gone."""
        return not any(Path("/proc", name.removeprefix("training-")).exists() for name in self._trainings())


class RetrainerKilledBeforeAnnouncing(RetrainerFault):
    """kill -9 between training and announcement."""

    name = "retrainer killed before announcing"
    guarantee = "once"
    kill = True
    hold = "hold-announcing"

    def _is_held(self) -> bool:
        return bool(self.scene.shelf.versions_for(self._request.id))

    def is_seen(self) -> bool:
        """Whether it is gone by the signal and has announced nothing."""
        return self._retrainer.code == -9 and not self._words()


class RetrainerKilledBeforeNoting(RetrainerFault):
    """kill -9 between announcement and the registry's note of it."""

    name = "retrainer killed before noting"
    guarantee = "once"
    kill = True
    hold = "hold-noting"

    def _is_held(self) -> bool:
        return bool(self._words())

    def is_seen(self) -> bool:
        """Whether it is gone by the signal, and the registry names another release than the topic."""
        return self._retrainer.code == -9 and self.scene.shelf.champion != self._words()[-1].champion


class SecondRetrainer(RetrainerFault):
    """A second retrainer joins the group while the first one trains, and may be given the request as well."""

    name = "second retrainer"
    guarantee = "once"
    hold = "hold-training"

    def _is_held(self) -> bool:
        return bool(self._trainings())

    def _strike(self) -> None:
        self._second = self.scene.crew.add_retrainer()
        self.detail = self._second.name

    def is_seen(self) -> bool:
        """Whether both run."""
        return self._retrainer.is_alive and self._second.is_ready()
