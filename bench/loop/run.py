"""One run of the loop: all roles on real Kafka, customers who write, people who give labels; then all of them."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from bench.bed import Bed, Running, cpu_name
from bench.drift.texts import public_set
from bench.loop.figures import Judged, figures
from bench.loop.policies import LoopPolicy, policies
from bench.loop.story import Story, StoryPlan, on_the_mix, tell_story
from bench.loop.watching import NUMBER, decisions, trainings
from connectors.registry import FolderRegistry
from headrace.releases.encoders import default_encoder
from headrace.tools.labels.giving import LabelGiver, NewLabel
from headrace.tools.labels.pool import read_pool
from headrace.tools.labels.queue import Asked, labelling_queue
from headrace.wiring import Wiring
from models.bundle import unpack
from models.classifier import Classifier
from models.errors import ConfigError, HeadraceError
from retrain import training_data
from retrain.data import Dataset, Row, split_rows
from retrain.job import TrainedRelease, train_release
from retrain.text_keys import is_held_out
from streams.application import Application, parse_application

HEAD: Final = "label"
PARTITIONS: Final = 4
PEOPLE: Final = ("ann", "bob", "cleo")
LOOK_SECONDS: Final = 2.0
READY_SECONDS: Final = 120.0
PATIENCE_SECONDS: Final = 420.0  # for a training that goes on when the stream is over

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """data: folder of the public sets. rate: events a second. budget: labels of a run, most of all."""

    data: Path
    seeds: Sequence[int]
    policies: Sequence[str]
    story: StoryPlan = field(default_factory=StoryPlan)
    rate: float = 12.0
    budget: int = 200


def run(wiring: Wiring, plan: Plan, progress: Progress) -> dict[str, Any]:
    """A line for each policy and seed. Raises ConfigError, ConnectorError."""
    texts = public_set(plan.data, "clinc150")
    known = policies(plan.budget, plan.story.events, plan.story.onset)
    unknown = [name for name in plan.policies if name not in known]
    if unknown:
        raise ConfigError(f"there is no policy {unknown[0]!r}; there are: {', '.join(known)}")
    runs: list[dict[str, Any]] = []
    for seed in plan.seeds:
        story = tell_story(texts, seed, plan.story)
        first, best = _releases(wiring, story, progress)
        everything = round(_judged(best.classifier, story, plan.story.share).mix, 4)
        for name in plan.policies:
            result = one_run(wiring, story, first, known[name], plan, progress)
            runs.append({"policy": name, "seed": seed, "domain": story.domain, "everything": everything} | result)
    return {"runs": runs, "budget": plan.budget, "events": plan.story.events, "cpu": cpu_name()}


def _releases(wiring: Wiring, story: Story, progress: Progress) -> tuple[TrainedRelease, TrainedRelease]:
    """The first release, and one that was trained on all of the new domain's texts that stream as well."""
    encoder = default_encoder(wiring)

    def train(rows: list[tuple[str, str]]) -> TrainedRelease:
        labelled = [Row(text, {HEAD: label}) for text, label in rows]
        dataset: Dataset = split_rows(labelled, (HEAD,), seed=0)
        return train_release("loop", dataset, encoder, progress=progress)

    known = story.of(story.training)
    return train(known), train([*known, *story.of(story.stream_new)])


def one_run(
    wiring: Wiring, story: Story, first: TrainedRelease, policy: LoopPolicy, plan: Plan, progress: Progress
) -> dict[str, Any]:
    """The figures of one policy on one story."""
    with Bed(wiring, parse_application(_toml("loop", "loop", policy), Path(), "loop")) as bed:
        topic = f"{bed.run}.texts"
        path = bed.write(f"{bed.run}.toml", _toml(bed.run, topic, policy))
        app = parse_application(path.read_text("utf-8"), path.parent, str(path))
        _publish(bed, first)
        bed.create_topic(topic, PARTITIONS)
        bed.create_output(bed.run, PARTITIONS)
        here = Wiring(wiring.settings.model_copy(update={"home": path.parent, "registry": "", "store": ""}))
        process = bed.start("headrace.cli", "up", str(path), "--from-beginning", name="up")
        customers, people = Customers(here, app, story, plan.rate), People(here, app, story, policy, plan)
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(customers.write)
            _follow(process, customers, people, sending.done, progress, f"{policy.name} {story.domain}")
            sending.result()
        _wait_for_the_end(process, here, app, len(story.stream))
        process.stop()
        decided = decisions(here, app, customers.epoch)
        asked = trainings(here, app)
        champion = _registry(here).champion(app.name)
        versions = {one.version for one in decided} | ({champion} if champion else set())
        judged = {v: _judged(_classifier(here, app, v), story, plan.story.share) for v in versions}
    of_new = {"labels_of_new": dict(people.of_new)}
    return figures(len(story.stream), decided, asked, judged, people.given, champion) | of_new


class Customers:
    """Write the stream's texts at a steady rate. sent: how many so far."""

    def __init__(self, wiring: Wiring, app: Application, story: Story, rate: float) -> None:
        self._wiring, self._app, self._rate = wiring, app, rate
        self._texts = story.of(story.stream)
        self.sent = 0
        admin = wiring.admin()
        self.epoch = admin.describe([app.topic])[app.topic].epoch
        admin.close()

    def write(self) -> None:
        """Until all are written."""
        publisher, started = self._wiring.publisher(), time.monotonic()
        try:
            for number, (text, _) in enumerate(self._texts):
                wait = started + number / self._rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                value = orjson.dumps({"text": text, NUMBER: number})
                publisher.send(self._app.topic, value, str(number).encode())
                publisher.flush()
                self.sent = number + 1
        finally:
            publisher.close()


class People:
    """Give labels: from the onset on evenly until the budget is spent, by the policy. given: how many, by how they were
    chosen. of_new: how many of the new domain, by what they do."""

    def __init__(self, wiring: Wiring, app: Application, story: Story, policy: LoopPolicy, plan: Plan) -> None:
        self._wiring, self._app, self._policy, self._plan = wiring, app, policy, plan
        self._truth = dict(story.of(story.stream))
        self.given: Counter[str] = Counter()
        self.of_new: Counter[str] = Counter()
        self._new = {text for text, _ in story.of(story.stream_new)}

    def label(self, sent: int) -> None:
        """What is due after so many events. Raises what the broker raises."""
        story = self._plan.story
        share = (sent - story.onset) / max(1, (story.events - story.onset) * LABELLING_SHARE)
        due = int(self._plan.budget * min(1.0, max(0.0, share))) - self.given.total()
        if not self._policy.labels or due <= 0:
            return
        pool = read_pool(self._wiring, self._app)
        asked = labelling_queue(pool, self._app, self._plan.budget)
        chosen = [one for one in asked if self._policy.queue or one.chosen == "random"][:due]
        self._give(chosen)

    def _give(self, asked: Sequence[Asked]) -> None:
        if not asked:
            return
        with contextlib.closing(LabelGiver(self._wiring)) as giver:
            labels = [
                NewLabel(
                    one.decision,
                    HEAD,
                    self._truth[str(one.decision["text"])],
                    PEOPLE[(self.given.total() + number) % len(PEOPLE)],
                    chosen=one.chosen,
                    probability=one.probability,
                    stratum=one.stratum,
                )
                for number, one in enumerate(asked)
            ]
            report = giver.give(labels, introduces=True)
        if report.rejected:
            raise ConfigError(f"a label was not taken: {report.rejected[0].reason}")
        self.given.update(str(one.chosen) for one in report.taken)
        texts = [str(one.decision["text"]) for one in asked]
        self.of_new.update("test" if is_held_out(text) else "train" for text in texts if text in self._new)


LABELLING_SHARE: Final = 0.7  # of the events after the onset: by then all labels are given, and a training has time


def _follow(
    process: Running,
    customers: Customers,
    people: People,
    is_over: Callable[[], bool],
    progress: Progress,
    name: str,
) -> None:
    while not is_over():
        process.check()
        with contextlib.suppress(HeadraceError) if customers.sent < WARM_EVENTS else contextlib.nullcontext():
            people.label(customers.sent)
        progress(name, customers.sent, people._plan.story.events)
        time.sleep(LOOK_SECONDS)


WARM_EVENTS: Final = 100  # before them the first decision may not be there yet


def _wait_for_the_end(process: Running, wiring: Wiring, app: Application, events: int) -> None:
    """Until all is decided and no training goes on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        process.check()
        admin = wiring.admin()
        try:
            decided = sum(end - start for start, end in admin.readable_offsets(app.decisions_topic).values())
        finally:
            admin.close()
        if decided >= events and all(one.ended_ms is not None for one in trainings(wiring, app)):
            time.sleep(LOOK_SECONDS)
            return
        time.sleep(LOOK_SECONDS)


def _toml(name: str, topic: str, policy: LoopPolicy) -> str:
    return (
        f'name = "{name}"\ntopic = "{topic}"\npartitions = {PARTITIONS}\n'
        f'[source]\ntext = "/text"\nat = "/at"\n[[heads]]\nname = "{HEAD}"\ncolumn = "{HEAD}"\n{policy.tables}\n'
    )


def _publish(bed: Bed, release: TrainedRelease) -> None:
    manifest, blobs = dict(release.manifest), dict(release.blobs)
    manifest["files"] = dict(manifest["files"])
    training_data.attach(manifest, blobs, release.dataset)
    bed.publish(bed.run, manifest, blobs)


def _registry(wiring: Wiring) -> FolderRegistry:
    return FolderRegistry(str(wiring.settings.home / "registry"))


def _classifier(wiring: Wiring, app: Application, version: str) -> Classifier:
    registry = _registry(wiring)
    manifest = registry.manifest(app.name, version)
    return unpack(manifest, registry.blobs_of(manifest), version=version)


def _judged(classifier: Classifier, story: Story, share: float) -> Judged:
    known, new = (list(_answers(classifier, story.of(rows))) for rows in (story.known, story.new))
    right_known, right_new = [right for right, _ in known], [right for right, _ in new]
    rejected = [is_rejected for _, is_rejected in known]
    mix = on_the_mix(right_known, right_new, share)
    return Judged(mix, _share(right_known), _share(right_new), _share(rejected))


def _answers(classifier: Classifier, rows: Sequence[tuple[str, str]]) -> Iterator[tuple[bool, bool]]:
    answers = classifier.classify_texts([text for text, _ in rows])
    for (_, label), answer in zip(rows, answers, strict=True):
        decision = answer.heads[HEAD]
        yield decision.label == label, decision.rejected


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values)
