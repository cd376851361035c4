"""What runs here: the Kafka clients, the codecs, the runtime of the encoder, the device, the encoder's files."""

import contextlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence

import onnxruntime as ort

from connectors.compression import missing_libraries
from connectors.errors import EncoderUnavailable
from headrace.releases.encoders import standing_encoder, with_encoder_of
from headrace.tools.doctor.findings import Check, Finding
from headrace.wiring import Wiring
from models.encoder.device import CUDA, cards_of_driver
from streams.application import Application
from streams.faust_runtime.internals import TESTED_VERSIONS, missing_internals, untested_versions


def machine_checks(wiring: Wiring, apps: Sequence[Application] = ()) -> list[Check]:
    """All that is looked at here. apps: whose encoders are looked at as well."""
    return [
        Check("clients", lambda: [clients_finding(missing_internals(), untested_versions())]),
        Check("compression", lambda: [compression_finding(missing_libraries())]),
        Check("encoder", lambda: encoder_findings(wiring, apps)),
        Check("onnxruntime", lambda: [runtimes_finding(installed_runtimes())]),
        Check("device", lambda: [device_finding(wiring.settings.device)]),
    ]


def encoder_findings(wiring: Wiring, apps: Sequence[Application] = ()) -> Iterator[Finding]:
    """The files of the configured encoder and of those that applications name, where they stand by now, each checked by
    its hash; nothing is fetched or built for this."""
    configured = {wiring.settings.encoder: wiring}
    for one in (configured | {app.encoder: with_encoder_of(app, wiring) for app in apps if app.encoder}).values():
        try:
            yield _encoder_finding(one)
        except EncoderUnavailable as error:  # the next one may be well
            yield Finding("encoder", False, str(error))


def _encoder_finding(wiring: Wiring) -> Finding:
    name = wiring.settings.encoder
    standing = standing_encoder(wiring)
    if standing is None:
        fetch = f"the first start fetches them, or `headrace encoders add {name}`"
        return Finding("encoder", True, f"{name}: its files are not here yet, {fetch}")
    source, is_built = standing
    graph = "the INT8 graph is built" if is_built else "the first start builds the INT8 graph, in seconds"
    return Finding("encoder", True, f"{name}, weights sha256 {source.sha256[:12]}; {graph}")


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


def installed_runtimes() -> dict[str, str]:
    """Version by name of each package that brings the module onnxruntime."""
    versions = {}
    for name in ("onnxruntime", "onnxruntime-gpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


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
    usable = cards()
    if not usable:
        return Finding(
            "device",
            device == "auto",
            f"{device}: no GPU answers (driver, nvidia-ml-py), INT8 on the CPU serves unless CUDA finds one "
            f"(docs/gpu.md)",
        )
    return Finding(
        "device", True, f"{device}: FP16 on " + ", ".join(f"{name} ({free / 1e9:.1f} GB free)" for name, free in usable)
    )
