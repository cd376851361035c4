"""The retrain job: corpus and corrections in, a better release or a verdict out.

Collecting and announcing happen here; training runs in a child process (`headrace.training.retrain_child`), so that a
worker in the same process keeps its cores' attention and a crash of the training cannot take the streams along.

One retraining comes of one request, however often it is delivered, and to however many retrainers: they take turns by a
lease of the registry, and what was trained for a request is found by its id, which stands in the manifest.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

from connectors.errors import RegistryError
from connectors.ports import ReleaseRegistry
from headrace.applications import reading_of
from headrace.releases.candidates import proposed
from headrace.releases.encoders import with_encoder_of
from headrace.releases.looks import COMPARED_WITH, STOPPED_LABELS, STOPPED_NOTED, look_of, suspects_of
from headrace.training.child_process import ChildLimits, OutOfMemory, run_child
from headrace.training.labelled import labelled_items
from headrace.training.texts import decided_texts
from headrace.training.verdict_files import write_page
from headrace.wiring import Wiring
from models.errors import HeadraceError
from streams.application import Application, Retraining
from streams.classify.release_loading import announced_hash
from streams.clock import wall_clock_ms
from streams.monitor.retrain_policy import DAY_MS
from streams.monitor.retrain_requests import milliseconds
from streams.retrainer import Challenger
from streams.topics import DOUBTS_TOPIC, FEEDBACK_TOPIC
from streams.wire.feedback import Opinions, of_topics
from streams.wire.records import Doubts, Release, ReleaseStep, RetrainRequest, format_time

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
CHILD = "headrace.training.retrain_child"


class RetrainJob:
    """`streams.retrainer.Retraining`. verdicts: (application, words), one for each request that was answered."""

    def __init__(
        self,
        wiring: Wiring,
        apps: Sequence[Application],
        *,
        seed: int = 0,
        on_sifted: Callable[[str, Mapping[str, int]], None] = lambda app, texts: None,
    ) -> None:
        """on_sifted: told by each training how many labelled texts count (`taken`), and how many do not, by reason."""
        self._wiring, self._seed, self._on_sifted = wiring, seed, on_sifted
        self._apps = {app.name: app for app in apps}
        self._one_at_a_time = asyncio.Lock()  # in this process, whose cores the streams need as well
        self._unnoted: dict[str, Challenger] = {}  # by request: refused, and not in the history yet
        self.verdicts: list[tuple[str, str]] = []

    async def train(self, request: RetrainRequest) -> Challenger:
        """See the port. Publishes what the gate lets pass."""
        challenger = self._unnoted.get(request.id) or await self._challenger(request)
        if challenger.version is None:
            self._unnoted[request.id] = challenger  # where it cannot be noted now, nothing is trained again for it
            await asyncio.to_thread(self._note_refusal, request, challenger)
            del self._unnoted[request.id]
            self.verdicts.append((request.app, challenger.verdict))
        return challenger

    async def announce(self, request: RetrainRequest, challenger: Challenger) -> str:
        """See the port. The registry notes what was announced.

        Under the same lease as the training: of two retrainers with the request, both would find nothing announced.
        """
        registry = await asyncio.to_thread(self._wiring.registry)
        async with _turn(registry, request):
            verdict = await _to_its_end(asyncio.to_thread(self._announce, request, challenger))
        self.verdicts.append((request.app, verdict))
        return verdict

    async def _challenger(self, request: RetrainRequest) -> Challenger:
        app = self._apps[request.app]
        registry = await asyncio.to_thread(self._wiring.registry)
        if (known := await asyncio.to_thread(trained_for, registry, request)) is not None:
            return known
        release = await asyncio.to_thread(self._standing, app.name)
        version = request.evidence.get("version")
        if release is None or version not in (None, release.champion):
            serves = "nothing" if release is None else release.champion
            return Challenger(None, f"the request is about version {version}, {serves} serves now")
        labelled = await asyncio.to_thread(self._collect, app, _oldest_label_ms(app.retraining, request))
        if not labelled:
            return Challenger(None, "no labelled decision was found")
        if not any(item["text"] for item in labelled):
            where = f"neither in the store nor among the newest of {app.decisions_topic}"
            return Challenger(None, f"all {len(labelled)} labelled decisions are {where}; is the indexer running?")
        async with self._one_at_a_time, _turn(registry, request):
            if (known := await asyncio.to_thread(trained_for, registry, request)) is not None:
                return known
            return await self._train(app, release, request, labelled)

    def _collect(self, app: Application, since_ms: float) -> list[dict[str, Any]]:
        """See `labelled_items`. The text comes from the decision, as it was decided."""
        opinions, reader = Opinions(of_topics(app.source_topics)), self._wiring.reader()
        try:
            for record in reader.read(FEEDBACK_TOPIC):
                opinions.take(record)
        finally:
            reader.close()
        ids = sorted({identity for identity, _ in opinions.labels(since_ms)})
        return labelled_items(opinions, app.head_names, decided_texts(self._wiring, app, ids), since_ms)

    async def _train(
        self, app: Application, release: Release, request: RetrainRequest, labelled: list[dict[str, Any]]
    ) -> Challenger:
        settings, table = self._wiring.settings, app.retraining
        steps = await asyncio.to_thread(self._steps, release.model)
        order = {
            "registry": settings.registry_url,
            "model": app.name,
            "champion": release.champion,
            "manifest_sha256": announced_hash(release, release.champion),
            "request": request.id,
            "labelled": labelled,
            "seed": self._seed,
            "threads": settings.threads or None,
            "strategy": table.strategy,
            "max_texts_per_label": table.max_texts_per_label,
            "feedback": {
                "label_share": app.labelling.person_label_share,
                "total_share": app.labelling.person_share,
            },
            "given_as": app.given_as,
            "look": look_of(steps, release.champion, request.id),
            "suspects": suspects_of(steps, release.champion, request.id),
            "mask_personal_data": app.masks_personal_data,
            "reading": reading_of(app).as_json(),
        }
        if table.strategy != "quick":  # starts from the configured encoder, which this process may know by its flags
            named = with_encoder_of(app, self._wiring).settings
            order["settings"] = named.model_dump(mode="json", include={"home", "cache", "encoder", "threads"})
        try:
            verdict = await run_child(CHILD, order, _limits(table))
        except TimeoutError:
            return Challenger(None, f"the training took longer than {table.max_minutes:g} minutes and was ended")
        except OutOfMemory as error:
            return Challenger(None, str(error))
        sifted = verdict.get("feedback", {"taken": 0, "set_aside": {}})
        self._on_sifted(app.name, {"taken": sifted["taken"], **sifted["set_aside"]})
        await asyncio.to_thread(self._ask_again, request, verdict.get("doubts", []))
        return await asyncio.to_thread(self._answer, order, verdict)

    def _steps(self, model: str) -> list[ReleaseStep]:
        return list(self._wiring.release_log().history.steps(model))

    def _answer(self, order: Mapping[str, Any], verdict: Mapping[str, Any]) -> Challenger:
        """The child's word; of a refusal, with its page's path."""
        version, words = verdict["version"], verdict["words"]
        if version is not None:
            return Challenger(version, words)
        folder = self._wiring.settings.home_path / "verdicts"
        path = write_page(folder, order["model"], order["request"], verdict["page"])
        words = words if path is None else f"{words}; page: {path}"
        figures = {COMPARED_WITH: order["champion"], "look": order["look"]}
        stopped = list(verdict.get("stopped_labels", ()))[:STOPPED_NOTED]
        return Challenger(None, words, figures | ({STOPPED_LABELS: stopped} if stopped else {}))

    def _ask_again(self, request: RetrainRequest, doubts: list[dict[str, Any]]) -> None:
        """The queue asks a second person about them. What cannot be written now, the next training writes: it is no
        reason to train this one again."""
        asked = Doubts(app=request.app, request=request.id, at=format_time(wall_clock_ms()), labels=doubts)
        try:
            publisher = self._wiring.publisher()
            try:
                publisher.send(DOUBTS_TOPIC, asked.encode(), request.app.encode())
                publisher.flush()
            finally:
                publisher.close()
        except HeadraceError as error:
            log.warning("nobody is asked about %d labels that do not count yet: %s", len(doubts), error)

    def _note_refusal(self, request: RetrainRequest, challenger: Challenger) -> None:
        """The gate's word stays in the history, known by its request: a request that comes again says it there once."""
        step = ReleaseStep(
            kind="refused",
            model=request.app,
            reason=challenger.verdict,
            figures=dict(challenger.figures),
            by="retrainer",
            at=format_time(wall_clock_ms()),
            request=request.id,
        )
        self._wiring.release_log().history.note(step)

    def _standing(self, model: str) -> Release | None:
        announced = self._wiring.release_log().standing(model)
        return None if announced is None else announced.release

    def _announce(self, request: RetrainRequest, challenger: Challenger) -> str:
        registry, log_of_releases = self._wiring.registry(), self._wiring.release_log()
        version, model = challenger.version, request.app
        assert version is not None
        standing = log_of_releases.standing(model)
        release = None if standing is None else standing.release
        if release is None or release.champion != version:
            if release is not None and (known := _what_became_of(version, release)):
                return f"{challenger.verdict}; {model}@{version} {known}"
            compared_with = _manifest(registry, model, version).get("parent")
            if release is None or release.champion != compared_with:
                serves = "nothing" if release is None else release.champion
                return (
                    f"{challenger.verdict}; but {serves} serves by now and {model}@{version} was compared with "
                    f"{compared_with}: not announced (`headrace models promote {model}@{version}`)"
                )
            change = _change(registry, request, challenger, self._apps[model])
            release = log_of_releases.announce_if(model, standing, change).release
        if release.candidate is not None and release.candidate.version == version:
            return f"{challenger.verdict}; {model}@{version} {_what_became_of(version, release)}"
        if release.champion != version:
            return f"{challenger.verdict}; but {release.champion} was announced at the same time"
        registry.promote(model, version)
        return challenger.verdict


def _limits(table: Retraining) -> ChildLimits:
    return ChildLimits(table.max_minutes * 60, table.cores, table.memory_mb * 2**20, table.niceness)


def _oldest_label_ms(table: Retraining, request: RetrainRequest) -> float:
    """By the request's own time: one that is delivered again trains on the same labels."""
    age = table.max_label_age_days
    return 0.0 if age is None else milliseconds(request.at) - age * DAY_MS


def trained_for(registry: ReleaseRegistry, request: RetrainRequest) -> Challenger | None:
    """What was trained for this very request, if it was. Raises RegistryError."""
    about = request.evidence.get("version")
    for version in reversed(registry.versions(request.app)):
        if about is not None and int(version) <= int(about):
            return None
        described = _manifest(registry, request.app, version)
        if described.get("retraining", {}).get("request") == request.id:
            return Challenger(version, described["gate"]["reason"])
    return None


def _manifest(registry: ReleaseRegistry, model: str, version: str) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(registry.manifest(model, version))
    return described


def _change(
    registry: ReleaseRegistry, request: RetrainRequest, challenger: Challenger, app: Application
) -> Callable[[Release | None], Release]:
    version, words = challenger.version, challenger.verdict

    def change(standing: Release | None) -> Release:
        assert version is not None and standing is not None
        return proposed(registry, version, standing, app.release, reason=words, request=request.id)

    return change


def _what_became_of(version: str, release: Release) -> str:
    """Of a version that was announced for this request before and does not serve; empty where it was not."""
    if release.candidate is not None and release.candidate.version == version:
        if release.candidate.stage == "waiting":
            return f"waits for `headrace models approve {release.model}@{version}`"
        return f"is on its way to serve ({release.candidate.stage})"
    if release.previous == version:
        return f"was announced, and {release.champion} serves again"
    return "was rolled back or turned down" if version in release.set_aside else ""


@contextlib.asynccontextmanager
async def _turn(registry: ReleaseRegistry, request: RetrainRequest) -> AsyncIterator[None]:
    """Wait until no other retrainer works on this request."""
    turn = registry.lease(request.app, f"retrain-{hashlib.sha256(request.id.encode()).hexdigest()[:16]}")
    while not await asyncio.to_thread(turn.take):
        await asyncio.sleep(LOOK_SECONDS)
    try:
        yield
    finally:
        try:
            await asyncio.to_thread(turn.give_back)
        except RegistryError as error:
            log.warning("a turn is not given back, and ends by itself: %s", error)


async def _to_its_end(work: Coroutine[Any, Any, str]) -> str:
    """Its result. Who is cancelled waits for it all the same: no cancellation stops a thread, and what is done under a
    lease must be done when that is given back."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
