"""The model that is tuned: a BERT encoder, its own pooling, and a linear head for each set of labels, in torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError
from retrain.fitting.tuning.body import Body
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import Ids, Pretrained

NEEDS_LIBRARIES: Final = (
    "strategy full needs torch and transformers: `make setup-train`, or pip install 'headrace[train]'"
)


class TunedModel:
    """labels: by head, how many it tells apart. Runs on CUDA where torch has it."""

    def __init__(self, start: Pretrained, labels: Mapping[str, int], plan: FineTuning, body: Body) -> None:
        self.torch, transformers = load_libraries()
        config, torch = start.config, self.torch
        if config.get("dense") is not None:
            raise ConfigError("strategy full tunes no encoder with a dense layer behind its pooling; use quick")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._pooling = config.get("pooling", "mean")
        self._body, self._plan = body, plan
        encoder = transformers.BertModel(transformers.BertConfig(**config), add_pooling_layer=False)
        state = {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in start.weights.items()}
        missing, _ = encoder.load_state_dict(state, strict=False)
        if missing:
            raise ConfigError(
                f"the encoder's weights lack {missing[0]} and {len(missing) - 1} others: is it a BERT encoder?"
            )
        self._plain = frozenset(encoder.state_dict())
        self._names = [name for name in state if name in self._plain]
        self.encoder = body.prepared(encoder).to(self.device)
        self.heads = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.Dropout(plan.dropout), torch.nn.Linear(int(config["hidden_size"]), count))
            for count in labels.values()
        ).to(self.device)

    def parameters(self) -> list[tuple[str, Any]]:
        """Those that are trained, by name; the heads' after the encoder's."""
        named = [*self.encoder.named_parameters(), *(("heads." + name, one) for name, one in _named(self.heads))]
        return [(name, value) for name, value in named if value.requires_grad]

    def train(self, training: bool) -> None:
        """Switch dropout on or off."""
        self.encoder.train(training)
        self.heads.train(training)

    def padded(self, ids: Ids) -> tuple[Any, Any]:
        """Token ids and mask (texts, longest), on the device."""
        width = max(len(each) for each in ids)
        padded = np.zeros((len(ids), width), dtype=np.int64)
        mask = np.zeros((len(ids), width), dtype=np.float32)
        for row, each in enumerate(ids):
            padded[row, : len(each)] = each
            mask[row, : len(each)] = 1.0
        return self.torch.from_numpy(padded).to(self.device), self.torch.from_numpy(mask).to(self.device)

    def embed(self, ids: Any, mask: Any) -> Any:
        """One embedding for each text, (texts, dimensions), by the encoder's own pooling; not of unit length."""
        hidden = self.encoder(ids, attention_mask=mask).last_hidden_state
        if self._pooling == "cls":
            return hidden[:, 0]
        return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)

    def logits(self, embeddings: Any) -> list[Any]:
        """By head, (texts, labels)."""
        return [head(embeddings) for head in self.heads]

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """What serves: the encoder's weights under the names they came with, and what the body has added."""
        state = self._body.merged(self.encoder)
        names = [*self._names, *(name for name in state if name not in self._plain)]
        return {name: state[name].detach().cpu().numpy().astype(np.float32, copy=True) for name in names}

    def decided(self, ids: Ids, batches: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """The primary head's label of each text, (texts,)."""
        labels = np.zeros(len(ids), dtype=np.int64)
        self.train(False)
        with self.torch.no_grad():
            for rows in batches:
                logits = self.heads[0](self.embed(*self.padded([ids[row] for row in rows])))
                labels[list(rows)] = logits.argmax(dim=1).cpu().numpy()
        return labels


def load_libraries() -> tuple[Any, Any]:
    """torch and transformers. Raises ConfigError where they are not installed."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ConfigError(NEEDS_LIBRARIES) from error
    return torch, transformers


def _named(module: Any) -> list[tuple[str, Any]]:
    return list(module.named_parameters())
