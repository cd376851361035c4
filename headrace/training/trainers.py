"""Every strategy by its name, as the edges ask for one. What a strategy needs is loaded once it is asked for."""

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from headrace.wiring import Wiring
from models.entities.views import ReadAs
from models.errors import ConfigError
from retrain.entities.rows import EntityRows
from retrain.fitting.tuning.around import Around, Watch, unwatched
from retrain.job import Strategy

STRATEGIES: Final = ("quick", "full", "fewshot", "lora", "adalora", "prefix", "adapter")
OF_PEFT: Final = frozenset({"lora", "adalora", "prefix"})


def require_known(strategy: str) -> None:
    """Raises ConfigError for a strategy that does not exist."""
    if strategy not in STRATEGIES:
        raise ConfigError(f"strategy {strategy!r} does not exist; there are: {', '.join(STRATEGIES)}")


def require_libraries_of(strategies: Iterable[str]) -> None:
    """Raises ConfigError where a library that one of the strategies needs is not installed. None is loaded."""
    asked = set(strategies) - {"quick"}
    if not asked:
        return
    from headrace.training.fine_tuning import require_libraries

    require_libraries()
    if asked & OF_PEFT and importlib.util.find_spec("peft") is None:
        from retrain.fitting.tuning.bodies.low_rank import NEEDS_PEFT

        raise ConfigError(NEEDS_PEFT)


def tuning_trainer(
    strategy: str,
    wiring: Wiring,
    epochs: int | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    watch: Watch = unwatched,
    unlabelled: tuple[str, ...] = (),
    entities: EntityRows | None = None,
    read_as: ReadAs = str,
) -> Strategy:
    """A strategy that tunes the configured encoder; cut off, it goes on when it is asked for again. epochs: None leaves
    them to the strategy. watch: shown figures of the training. options, unlabelled: of `full` (`full_trainer`).
    entities, read_as: see `FullStrategy`; `fewshot`, which learns by contrast of one head's labels, tunes to none."""
    require_known(strategy)
    from headrace.releases.encoders import encoder_source
    from headrace.training.fine_tuning import full_trainer, kept_trainings
    from models.encoder.quantization import quantize_encoder
    from retrain.fitting.contrastive import Contrasting
    from retrain.strategies.few_weights import few_weights_strategy
    from retrain.strategies.fewshot import FewShotStrategy

    if strategy == "full":
        more: dict[str, Any] = {"unlabelled": unlabelled, "entities": entities, "read_as": read_as}
        return full_trainer(wiring, epochs, options, watch=watch, **more)
    source = encoder_source(wiring)
    threads = wiring.settings.threads or None

    def quantize(weights: Mapping[str, Any], calibration: Sequence[str]) -> bytes:
        return quantize_encoder(
            weights, source.config, source.tokenizer_json, calibration, max_tokens=source.max_tokens
        )

    weights, config, around = source.read_weights(), source.config, Around(kept_trainings(wiring), watch)
    if strategy == "fewshot":
        plan = Contrasting() if epochs is None else replace(Contrasting(), epochs=epochs)
        return FewShotStrategy(weights, config, quantize, plan, threads, around)
    named: dict[str, Any] = {"entities": entities, "read_as": read_as}
    return few_weights_strategy(strategy, weights, config, quantize, epochs, threads, around, **named)
