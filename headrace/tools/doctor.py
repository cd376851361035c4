"""Checks every part that Headrace stands on: each finding is ok or says what to do."""

import contextlib
import importlib.metadata
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from connectors.compression import missing_libraries
from connectors.ports import ReleaseRegistry, SearchQuery
from connectors.private_folders import is_open_to_others
from headrace.releases.encoders import default_encoder
from headrace.releases.references import labels_of
from headrace.wiring import Wiring
from models.encoder.device import CUDA, cards_of_driver
from models.errors import HeadraceError
from streams import topics
from streams.application import Application, labels_without_use
from streams.faust_runtime.internals import TESTED_VERSIONS, missing_internals, untested_versions

FREE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    what: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine(wiring: Wiring, apps: Sequence[Application]) -> list[Finding]:
    """All checks; one that fails does not keep the next from running."""
    findings: list[Finding] = []
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("settings", lambda: _settings(wiring)),
        ("broker", lambda: _broker(wiring, apps)),
        ("clients", lambda: [clients_finding(missing_internals(), untested_versions())]),
        ("compression", lambda: [compression_finding(missing_libraries())]),
        ("home", lambda: [home_finding(wiring.settings.home_path)]),
        ("store", lambda: _store(wiring)),
        ("registry", lambda: examine_registry(wiring, apps)),
        ("encoder", lambda: _encoder(wiring)),
        ("onnxruntime", lambda: [runtimes_finding(installed_runtimes())]),
        ("device", lambda: [device_finding(wiring.settings.device)]),
        ("disk", lambda: _disk(wiring)),
    ]
    for what, check in checks:
        try:
            findings += check()
        except HeadraceError as error:
            findings.append(Finding(what, False, str(error)))
    return findings


def _settings(wiring: Wiring) -> Iterator[Finding]:
    settings = wiring.settings
    yield Finding(
        "settings",
        True,
        f"broker {settings.broker}, store {_without_password(settings.store_url)}, home {settings.home_path}",
    )


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2]}" if "@" in rest else url


def _broker(wiring: Wiring, apps: Sequence[Application]) -> Iterator[Finding]:
    admin = wiring.admin()
    try:
        specs = topics.specs(apps, wiring.settings.replication)
        standing = admin.describe([spec.name for spec in specs])
        yield Finding("broker", True, f"{wiring.broker().address} answers, {admin.brokers()} broker(s)")
        for spec in specs:
            state = standing.get(spec.name)
            if state is None:
                yield Finding(f"topic {spec.name}", True, "not there yet; `headrace up` creates it")
            elif not wiring.broker().is_embedded and state.cleanup != spec.cleanup:
                yield Finding(
                    f"topic {spec.name}",
                    False,
                    f"cleanup.policy is {state.cleanup}, must be {spec.cleanup}: kafka-configs.sh --alter",
                )
            elif spec.partitions == 1 and state.partitions != 1 and not wiring.broker().is_embedded:
                yield Finding(
                    f"topic {spec.name}",
                    False,
                    f"{state.partitions} partitions, must be 1: remove the topic and run `headrace up`",
                )
            else:
                yield Finding(
                    f"topic {spec.name}",
                    True,
                    f"{state.partitions} partitions, {state.replication} replicas, {state.cleanup}, epoch "
                    f"{state.epoch}",
                )
    finally:
        admin.close()


def clients_finding(missing: Sequence[str], untested: Mapping[str, str]) -> Finding:
    """Whether the Kafka clients are those that Headrace was tested with. missing: names that it stands on; untested:
    package to another version than the tested one."""
    tested = ", ".join(f"{package}=={version}" for package, version in TESTED_VERSIONS.items())
    if not missing and not untested:
        return Finding("clients", True, tested)
    installed = ", ".join(f"{package} {version}" for package, version in untested.items())
    lack = f"; they lack {', '.join(missing)}" if missing else ""
    return Finding(
        "clients", False, f"not tested with {installed or 'these'}{lack}: pip install {tested.replace(',', '')}"
    )


def compression_finding(missing: Mapping[str, Sequence[str]]) -> Finding:
    """Whether records of every codec can be read. missing: codec to the packages that are not installed."""
    if not missing:
        return Finding("compression", True, "gzip, snappy, lz4 and zstd can be read")
    packages = sorted({package for of_codec in missing.values() for package in of_codec})
    return Finding(
        "compression",
        False,
        f"topics compressed with {' or '.join(missing)} cannot be read: pip install {' '.join(packages)}",
    )


def home_finding(home: Path) -> Finding:
    """Customers' texts lie there: a warning where other users of the machine can read them."""
    if is_open_to_others(home):
        return Finding("home", True, f"other users of this machine can look into {home}: chmod 700 {home}")
    return Finding("home", True, f"{home} is its owner's alone" if home.exists() else f"{home} is not there yet")


def _store(wiring: Wiring) -> Iterator[Finding]:
    store = wiring.store()
    try:
        store.check()
        total = store.search(SearchQuery(limit=1)).total
        yield Finding("store", True, f"{_without_password(wiring.settings.store_url)} answers, {total} decisions")
    finally:
        store.close()


def examine_registry(wiring: Wiring, apps: Sequence[Application]) -> Iterator[Finding]:
    """Each application's champion, and whether its labels are those that the application's file names."""
    registry = wiring.registry()
    for app in apps:
        if app.kind == "classify":
            version = registry.champion(app.name)
            yield Finding(f"model {app.name}", True, _model_detail(registry, app, version))
            if version:
                for wrong in labels_without_use(app, labels_of(registry.manifest(app.name, version))):
                    yield Finding(f"labels {app.name}", False, f"{app.given_as}: {wrong}")


def _model_detail(registry: ReleaseRegistry, app: Application, version: str | None) -> str:
    if version:
        return f"champion {version} of {len(registry.versions(app.name))}"
    if app.corpus is None:
        return f"no model yet, and no corpus: `headrace train {app.given_as} --data FILE --register`"
    return f"no model yet; `headrace up {app.given_as}` trains one from the corpus"


def _encoder(wiring: Wiring) -> Iterator[Finding]:
    encoder = default_encoder(wiring)
    yield Finding(
        "encoder",
        True,
        f"{wiring.settings.encoder}, {encoder.dimensions} dimensions, INT8 sha256 {encoder.sha256[:12]}",
    )


def installed_runtimes() -> dict[str, str]:
    """Version by name of each package that brings the module onnxruntime."""
    found = {}
    for name in ("onnxruntime", "onnxruntime-gpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def runtimes_finding(installed: Mapping[str, str]) -> Finding:
    """Two of them overwrite each other's files: which one runs is then chance."""
    if len(installed) > 1:
        return Finding(
            "onnxruntime",
            False,
            "onnxruntime and onnxruntime-gpu overwrite each other: `pip uninstall -y onnxruntime "
            "onnxruntime-gpu`, then install "
            "onnxruntime-gpu[cuda,cudnn] for a GPU, or onnxruntime for the CPU (docs/gpu.md)",
        )
    return Finding(
        "onnxruntime",
        True,
        ", ".join(f"{name} {version}" for name, version in installed.items()) or "of another package",
    )


def device_finding(
    device: str,
    providers: Sequence[str] | None = None,
    cards: Callable[[], Sequence[tuple[str, int]]] = cards_of_driver,
) -> Finding:
    """Whether the encoder runs where HEADRACE_DEVICE says. providers: onnxruntime's, None asks it. cards: name and
    free bytes."""
    has_cuda = CUDA in (ort.get_available_providers() if providers is None else providers)
    if device == "cpu" or (device == "auto" and not has_cuda):
        return Finding("device", True, f"{device}: INT8 on the CPU")
    if not has_cuda:
        return Finding(
            "device",
            False,
            "cuda is set and this onnxruntime is for CPUs, so INT8 on the CPU serves: install the extra gpu "
            "(docs/gpu.md)",
        )
    found = cards()
    if not found:
        return Finding(
            "device",
            device == "auto",
            f"{device}: no GPU answers (driver, nvidia-ml-py), INT8 on the CPU serves unless CUDA finds one "
            f"(docs/gpu.md)",
        )
    return Finding(
        "device", True, f"{device}: FP16 on " + ", ".join(f"{name} ({free / 1e9:.1f} GB free)" for name, free in found)
    )


def _disk(wiring: Wiring) -> Iterator[Finding]:
    place = wiring.settings.home_path
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    yield Finding(
        "disk",
        free > FREE_BYTES,
        f"{free / 1e9:.1f} GB free at {place}" + ("" if free > FREE_BYTES else ": free 2 GB or move HEADRACE_HOME"),
    )
