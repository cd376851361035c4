"""A teacher: any encoder that transformers knows, asked for embeddings and never tuned (extra `teacher`)."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.encoder.graph import DENSE, Weights
from models.encoder.tokenization import TextTokenizer
from models.errors import ConfigError, ModelError
from retrain.fitting.resuming.checkpoints import Checkpoints, NoCheckpoints
from retrain.fitting.tuning.texts import batches_by_length
from retrain.progress import Progress, no_progress

Floats = NDArray[np.float32]
NEEDS_LIBRARIES: Final = (
    "a teacher needs torch and transformers: `make setup-train`, or pip install 'headrace[teacher]'"
)
KEPT_TEXTS: Final = 2_048
_BATCH_TEXTS: Final = 32


class Teacher(Protocol):
    """Gives embeddings."""

    @property
    def sha256(self) -> str:
        """Of its weights: another one is another teacher."""

    def embed(self, texts: Sequence[str]) -> Floats:
        """(texts, dimensions), unit length."""


class TorchTeacher:
    """`Teacher` of a folder's files.

    weights: with `dense.weight` and `dense.bias` where it ends with such a layer. config: config.json's, with pooling
    and dense as `models.encoder.graph` names them; `model_type` any that transformers builds itself (BERT, MPNet,
    RoBERTa, …): no code of the folder's is run. sha256: of the weights' file.
    """

    def __init__(
        self, weights: Weights, config: Mapping[str, Any], tokenizer_json: str, *, max_tokens: int, sha256: str
    ) -> None:
        """Raises ConfigError without the libraries, ModelError where the weights are no such encoder's."""
        self._torch, transformers = _libraries()
        torch, self.sha256 = self._torch, sha256
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer = TextTokenizer(tokenizer_json, max_tokens=max_tokens)
        self._padding, self._pooling = int(config.get("pad_token_id") or 0), config.get("pooling", "mean")
        self._activation = config.get("dense")
        self._dense = [
            torch.from_numpy(np.array(weights[f"{DENSE}.{part}"])).to(self.device)
            for part in (("weight", "bias") if self._activation is not None else ())
        ]
        self._model = _loaded(torch, transformers, weights, config).to(self.device).eval()

    def embed(self, texts: Sequence[str]) -> Floats:
        """See the protocol; in full precision."""
        torch, ids = self._torch, [text.ids for text in self._tokenizer.tokenize(texts)]
        found: list[tuple[list[int], Floats]] = []
        with torch.no_grad():
            for rows in batches_by_length(ids, _BATCH_TEXTS):
                width = max(len(ids[row]) for row in rows)
                padded = np.full((len(rows), width), self._padding, dtype=np.int64)
                mask = np.zeros((len(rows), width), dtype=np.float32)
                for number, row in enumerate(rows):
                    padded[number, : len(ids[row])] = ids[row]
                    mask[number, : len(ids[row])] = 1.0
                own = torch.from_numpy(mask).to(self.device)
                hidden = self._model(
                    input_ids=torch.from_numpy(padded).to(self.device), attention_mask=own.long()
                ).last_hidden_state
                found.append((rows, self._ended(hidden, own).cpu().numpy()))
        embeddings = np.zeros((len(texts), found[0][1].shape[1] if found else 0), dtype=np.float32)
        for rows, values in found:
            embeddings[rows] = values
        if not np.isfinite(embeddings).all():
            raise ModelError("the teacher's embeddings are not numbers; its weights are damaged")
        return embeddings

    def _ended(self, hidden: Any, own: Any) -> Any:
        functional = self._torch.nn.functional
        if self._pooling == "cls":
            pooled = hidden[:, 0]
        else:
            pooled = (hidden * own.unsqueeze(-1)).sum(1) / own.sum(1, keepdim=True)
        if self._dense:
            pooled = functional.linear(pooled, *self._dense)
            pooled = self._torch.tanh(pooled) if self._activation == "tanh" else pooled
        return functional.normalize(pooled, dim=1)


def ask_teacher(
    teacher: Teacher,
    texts: Sequence[str],
    checkpoints: Checkpoints | None = None,
    progress: Progress = no_progress,
) -> Floats:
    """The embeddings of many texts, (texts, dimensions). What was asked before a kill is not asked again."""
    kept = checkpoints or NoCheckpoints()
    digest = hashlib.sha256(f"teacher {teacher.sha256}".encode())
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    name, parts, done = digest.hexdigest(), list[Floats](), 0
    before = kept.load(name)
    if before is not None:
        parts, done = [np.array(before[0]["embeddings"], dtype=np.float32)], int(before[1]["done"])
    progress("asking the teacher", done, len(texts))
    while done < len(texts):
        for start in range(done, min(done + KEPT_TEXTS, len(texts)), 8 * _BATCH_TEXTS):
            end = min(start + 8 * _BATCH_TEXTS, done + KEPT_TEXTS, len(texts))
            parts.append(teacher.embed(texts[start:end]))
            progress("asking the teacher", end, len(texts))
        done = min(done + KEPT_TEXTS, len(texts))
        parts = [np.concatenate(parts)]
        kept.save(name, {"embeddings": parts[0]}, {"done": done})
    return parts[0]


def _loaded(torch: Any, transformers: Any, weights: Weights, config: Mapping[str, Any]) -> Any:
    """The model without heads, with these weights and no others."""
    kind = str(config.get("model_type"))
    try:
        own = {key: value for key, value in config.items() if key not in ("model_type", "auto_map")}
        described = transformers.AutoConfig.for_model(kind, **own)
        model = transformers.AutoModel.from_config(described, trust_remote_code=False)
    except (ValueError, KeyError, TypeError, RuntimeError, MemoryError) as error:
        what = str(error).strip().splitlines()[0]
        raise ModelError(f"the teacher's config.json describes no encoder that can be built ({what})") from error
    prefix = f"{model.base_model_prefix}."
    state = {name.removeprefix(prefix): torch.from_numpy(np.array(value)) for name, value in weights.items()}
    try:
        missing, _ = model.load_state_dict(state, strict=False)
    except RuntimeError as error:  # tensors of other shapes
        raise ModelError(f"the teacher's weights do not fit its config.json: {_first_fault(error)}") from error
    missing = [name for name in missing if not name.startswith("pooler.")]  # nobody asks it
    if missing:
        raise ModelError(f"the teacher's weights lack {missing[0]} and {len(missing) - 1} others that {kind} has")
    return model


def _first_fault(error: Exception) -> str:
    lines = str(error).splitlines()
    return " ".join(lines[1 if len(lines) > 1 else 0].split())


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ConfigError(NEEDS_LIBRARIES) from error
    return torch, transformers
