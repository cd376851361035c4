"""The model that is tuned: a BERT encoder, its own pooling, and a linear head for each set of labels, in torch; beside
these one for spans, which reads the mean of the last layer's states over a span's tokens."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError
from models.heads import Floats
from retrain.fitting.dropout import quick_dropout
from retrain.fitting.half import has_half
from retrain.fitting.spans import Spans
from retrain.fitting.tuning.body import Body
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import Ids, Pretrained, batches_by_length

EVALUATION_TEXTS: Final = 64
NEEDS_LIBRARIES: Final = (
    "tuning an encoder needs torch and transformers: `make setup-train`, or pip install 'headrace[train]'"
)


class TunedModel:
    """labels: by head, how many it tells apart. spans: how many labels spans have; 0 without a head for them. Runs on
    CUDA where torch has it."""

    def __init__(
        self, start: Pretrained, labels: Mapping[str, int], plan: FineTuning, body: Body, spans: int = 0
    ) -> None:
        self.torch, transformers = load_libraries()
        config, torch = start.config, self.torch
        if config.get("dense") is not None:
            raise ConfigError("an encoder with a dense layer behind its pooling cannot be tuned; use strategy quick")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._half = plan.half and has_half(torch, self.device)
        self._pooling = config.get("pooling", "mean")
        self._body, self._plan = body, plan
        # In bfloat16 a processor is faster by plain matrix products than by fused attention: 4 to 17 % of a step.
        attention = {"attn_implementation": "eager" if self.device == "cpu" else "sdpa"}
        encoder = transformers.BertModel(transformers.BertConfig(**config, **attention), add_pooling_layer=False)
        state = {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in start.weights.items()}
        missing, _ = encoder.load_state_dict(state, strict=False)
        if missing:
            raise ConfigError(
                f"the encoder's weights lack {missing[0]} and {len(missing) - 1} others: is it a BERT encoder?"
            )
        self._plain = frozenset(encoder.state_dict())
        self._names = [name for name in state if name in self._plain]
        self.layers = int(config["num_hidden_layers"])
        self.encoder = body.prepared(encoder).to(self.device)
        self._hidden = int(config["hidden_size"])
        self.heads, self.span_heads = (
            torch.nn.ModuleList(
                torch.nn.Sequential(torch.nn.Dropout(plan.dropout), torch.nn.Linear(self._hidden, count))
                for count in counts
            ).to(self.device)
            for counts in (labels.values(), [spans] if spans else [])
        )

    def parameters(self) -> list[tuple[str, Any]]:
        """Those that are trained, by name; the heads' after the encoder's."""
        heads = [(f"{part}.{name}", value) for part, of in self._parts() for name, value in of.named_parameters()]
        return [(name, value) for name, value in [*self.encoder.named_parameters(), *heads] if value.requires_grad]

    def state(self) -> dict[str, Any]:
        """A copy of all that training changes and all beside it, by name: tensors on the device."""
        return {name: value.detach().clone() for name, value in self.live_state().items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go back to a state; names that are missing stay as they are."""
        with self.torch.no_grad():
            for name, value in self.live_state().items():
                if name in state:
                    value.copy_(state[name])

    def train(self, training: bool) -> None:
        """Switch dropout on or off."""
        self.encoder.train(training)
        for _, heads in self._parts():
            heads.train(training)

    def padded(self, ids: Ids) -> tuple[Any, Any]:
        """Token ids and mask (texts, longest), on the device."""
        width = max(len(each) for each in ids)
        padded = np.zeros((len(ids), width), dtype=np.int64)
        mask = np.zeros((len(ids), width), dtype=np.float32)
        for row, each in enumerate(ids):
            padded[row, : len(each)] = each
            mask[row, : len(each)] = 1.0
        return self.torch.from_numpy(padded).to(self.device), self.torch.from_numpy(mask).to(self.device)

    def token_embeddings(self, ids: Any) -> Any:
        """(texts, tokens, dimensions), before positions and norm."""
        return self.encoder.get_input_embeddings()(ids)

    def embed(self, ids: Any, mask: Any, tokens: Any = None) -> Any:
        """One embedding for each text, (texts, dimensions), by the encoder's own pooling; not of unit length. tokens:
        token embeddings to read in place of those of `ids`."""
        return self.pooled(self.states(ids, mask, tokens), mask)

    def states(self, ids: Any, mask: Any, tokens: Any = None) -> Any:
        """Of each token, (texts, tokens, dimensions). See `embed`."""
        read = {"input_ids": ids} if tokens is None else {"inputs_embeds": tokens}
        with quick_dropout(self.torch) if self.encoder.training else nullcontext():
            return self.encoder(**read, attention_mask=mask).last_hidden_state

    def pooled(self, hidden: Any, mask: Any) -> Any:
        """Of each text. hidden: of `states`."""
        if self._pooling == "cls":
            return hidden[:, 0]
        return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)

    def logits(self, embeddings: Any) -> list[Any]:
        """By head, (texts, labels)."""
        return [head(embeddings) for head in self.heads]

    def span_states(self, hidden: Any, spans: Spans) -> Any:
        """The mean over each span's tokens, (spans, dimensions). hidden: of `states`. spans: in tokens."""
        torch = self.torch
        text, start, end = (torch.from_numpy(part).to(self.device) for part in (spans.text, spans.start, spans.end))
        place = torch.arange(hidden.shape[1], device=self.device)[None, :]
        inside = ((place >= start[:, None]) & (place < end[:, None])).to(hidden.dtype)
        return (hidden[text] * inside.unsqueeze(-1)).sum(1) / inside.sum(1, keepdim=True)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """What serves: the encoder's weights under the names they came with, and what the body has added."""
        state = self._body.merged(self.encoder)
        names = [*self._names, *(name for name in state if name not in self._plain)]
        return {name: state[name].detach().cpu().numpy().astype(np.float32, copy=True) for name in names}

    def precision(self) -> Any:
        """A context for forward passes: bfloat16 where the plan allows it and the GPU or processor has it."""
        return self.torch.autocast(self.device, self.torch.bfloat16, enabled=self._half)

    def embeddings(self, ids: Ids) -> Floats:
        """Of many texts, (texts, dimensions) float32, without dropout."""
        found = np.zeros((len(ids), self._hidden), dtype=np.float32)
        self.train(False)
        with self.torch.no_grad(), self.precision():
            for rows in batches_by_length(ids, EVALUATION_TEXTS):
                found[rows] = self.embed(*self.padded([ids[row] for row in rows])).float().cpu().numpy()
        return found

    def spans_of(self, ids: Ids, spans: Spans) -> Floats:
        """`span_states` of many texts, (spans, dimensions) float32, without dropout."""
        found = np.zeros((len(spans), self._hidden), dtype=np.float32)
        self.train(False)
        with self.torch.no_grad(), self.precision():
            for rows in batches_by_length(ids, EVALUATION_TEXTS):
                numbers = np.sort(np.array(rows, dtype=np.int64))
                inside = np.flatnonzero(np.isin(spans.text, numbers))
                if len(inside):
                    states = self.states(*self.padded([ids[row] for row in numbers]))
                    found[inside] = self.span_states(states, spans.of(numbers)).float().cpu().numpy()
        return found

    def span_answers(self, ids: Ids, spans: Spans) -> Floats:
        """Logits of the spans, (spans, labels) float32, without dropout."""
        states = self.torch.from_numpy(self.spans_of(ids, spans)).to(self.device)
        with self.torch.no_grad():
            logits: Floats = self.span_heads[0](states).cpu().numpy()
        return logits

    def answers(self, ids: Ids) -> list[Floats]:
        """Logits of many texts by head, (texts, labels) float32, without dropout."""
        if not len(self.heads):
            return []
        embeddings = self.torch.from_numpy(self.embeddings(ids)).to(self.device)
        with self.torch.no_grad():
            return [logits.cpu().numpy() for logits in self.logits(embeddings)]

    def live_state(self) -> dict[str, Any]:
        """The same, not copied: it changes with each step."""
        heads = {f"{part}.{name}": value for part, of in self._parts() for name, value in of.state_dict().items()}
        return dict(self.encoder.state_dict()) | heads

    def _parts(self) -> tuple[tuple[str, Any], ...]:
        return ("heads", self.heads), ("span_heads", self.span_heads)


def load_libraries() -> tuple[Any, Any]:
    """torch and transformers. Raises ConfigError where they are not installed."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ConfigError(NEEDS_LIBRARIES) from error
    return torch, transformers
