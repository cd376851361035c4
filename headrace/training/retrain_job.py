"""The retrain job: corpus and corrections in, a better release or a verdict out.

Collecting and releasing happen here; training runs in a child process (`headrace.training.retrain_child`), so that a
worker in the same process keeps its cores' attention and a crash of the training cannot take the streams along.
"""

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from connectors.ports import DecisionStore
from headrace.releases.release_log import next_release
from headrace.wiring import Wiring
from models.errors import ConnectorError, ModelError
from streams.application import Application
from streams.retrainer import JobResult
from streams.topics import FEEDBACK_TOPIC, RELEASES_TOPIC
from streams.wire.feedback import current_labels
from streams.wire.records import Release, RetrainRequest, decode

log = logging.getLogger(__name__)

JOB_SECONDS = 3 * 3600.0
FIND_TEXTS = 500


class RetrainJob:
    """Called with a request by the retrainer's engine. verdicts: (application, words), one for each request so far."""

    def __init__(self, wiring: Wiring, apps: Sequence[Application], *, seed: int = 0) -> None:
        self._wiring, self._seed = wiring, seed
        self._apps = {app.name: app for app in apps}
        self.verdicts: list[tuple[str, str]] = []

    async def __call__(self, request: RetrainRequest) -> JobResult:
        """Collect, train and compare in a child process, publish when the gate says so."""
        result = await self._run(request)
        self.verdicts.append((request.app, result.verdict))
        return result

    async def _run(self, request: RetrainRequest) -> JobResult:
        app = self._apps.get(request.app)
        if app is None:
            return JobResult(None, f"no application {request.app} here")
        registry = self._wiring.registry()
        champion = registry.champion(app.name)
        if champion is None or champion != request.evidence.get("version", champion):
            return JobResult(
                None, f"the request is about version {request.evidence.get('version')}, {champion} serves now"
            )
        labelled = await asyncio.to_thread(self._collect, app)
        if not labelled:
            return JobResult(None, "no labelled decision was found")
        verdict = await self._train(app, champion, labelled)
        if verdict["version"] is None:
            return JobResult(None, verdict["words"])
        registry.promote(app.name, verdict["version"])
        known = await asyncio.to_thread(self._known_release, app.name)
        return JobResult(next_release(registry, app.name, verdict["version"], known, by="retrainer"), verdict["words"])

    def _collect(self, app: Application) -> list[dict[str, Any]]:
        """Labelled texts: id, text, labels. The text comes from the decision, as it was decided."""
        reader, store = self._wiring.reader(), self._wiring.store()
        try:
            store.prepare({app.name: app.head_names})
            feedback = current_labels(reader.read(FEEDBACK_TOPIC), app.source_topics)
            texts = _texts(store, sorted({identity for identity, _ in feedback}))
        finally:
            reader.close()
            store.close()
        labels: dict[str, dict[str, str]] = {}
        for (identity, head), each in feedback.items():
            if identity in texts and head in app.head_names:
                labels.setdefault(identity, {})[head] = each.label
        return [{"id": identity, "text": texts[identity], "labels": found} for identity, found in labels.items()]

    async def _train(self, app: Application, champion: str, labelled: list[dict[str, Any]]) -> dict[str, Any]:
        settings = self._wiring.settings
        order = {
            "registry": settings.registry_url,
            "model": app.name,
            "champion": champion,
            "labelled": labelled,
            "seed": self._seed,
            "threads": settings.threads or None,
        }
        with tempfile.TemporaryDirectory(prefix="headrace-retrain-") as folder:
            file = Path(folder) / "order.json"
            file.write_bytes(orjson.dumps(order))
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "headrace.training.retrain_child",
                str(file),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                out, err = await asyncio.wait_for(child.communicate(), JOB_SECONDS)
            except BaseException:
                if child.returncode is None:
                    child.kill()
                raise
        if child.returncode != 0:
            raise ModelError(f"the training process left with code {child.returncode}: {_last_line(err)}")
        result: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
        return result

    def _known_release(self, model: str) -> Release | None:
        reader = self._wiring.reader()
        try:
            known = None
            for record in reader.read(RELEASES_TOPIC):
                if record.key == model.encode() and record.value is not None:
                    known = decode(Release, record.value)
            return known
        finally:
            reader.close()


def _texts(store: DecisionStore, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), FIND_TEXTS):
        documents = store.get(ids[start : start + FIND_TEXTS])
        found |= {identity: document["text"] for identity, document in documents.items()}
    missing = len(ids) - len(found)
    if missing and not found:
        raise ConnectorError(f"none of {len(ids)} labelled decisions is in the store; is the indexer running?")
    if missing:
        log.warning("%d of %d labelled decisions are not in the store (yet) and do not train", missing, len(ids))
    return found


def _last_line(err: bytes) -> str:
    lines = err.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no message"
