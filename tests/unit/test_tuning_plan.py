import dataclasses
import typing

import pytest

from models.errors import ConfigError
from retrain.fitting.tuning.plan import FineTuning, plan_from


def test_a_table_changes_what_it_says_and_nothing_else() -> None:
    plan = plan_from({"epochs": 2, "judge": "loss", "r_drop": 2, "outside_mixes": False})
    assert plan == dataclasses.replace(FineTuning(), epochs=2.0, judge="loss", r_drop=2.0, outside_mixes=False)
    assert isinstance(plan.epochs, float)
    assert plan_from({"seeds": 3}, plan) == dataclasses.replace(plan, seeds=3)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        pytest.param({"learning_rat": 1e-4}, "no option 'learning_rat'; there are: epochs, ", id="an unknown name"),
        pytest.param({"learning_rate": 5}, "learning_rate = 5: it may be from 1e-08 to 1", id="out of its range"),
        pytest.param({"seeds": 2.5}, "seeds = 2.5: it is a whole number", id="half a seed"),
        pytest.param({"epochs": "4"}, "epochs = '4': it is a number", id="a word for a number"),
        pytest.param({"epochs": True}, "epochs = True: it is a number", id="a truth for a number"),
        pytest.param({"epochs": float("nan")}, "epochs = nan: it may be from", id="no number"),
        pytest.param({"outside_mixes": 1}, "outside_mixes = 1: it is true or false", id="a number for a truth"),
        pytest.param({"judge": "f1"}, "judge = 'f1': it may be loss or accuracy", id="a word it has not"),
    ],
)
def test_a_slip_in_a_table_is_told_in_one_line(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_from(table)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_option_is_told_and_its_default_is_allowed() -> None:
    for option in dataclasses.fields(FineTuning):
        assert option.metadata["what"], option.name
        assert plan_from({option.name: option.default}) == FineTuning()
    numbers = [name for name, kind in typing.get_type_hints(FineTuning).items() if kind in (int, float)]
    limits = {option.name: option.metadata for option in dataclasses.fields(FineTuning)}
    assert all({"least", "most"} <= limits[name].keys() for name in numbers)


@pytest.mark.parametrize(
    ("options", "texts", "steps"),
    [
        pytest.param({"epochs": 4, "batch_texts": 32}, 3200, 400, id="by epochs"),
        pytest.param({"epochs": 4, "batch_texts": 32, "min_steps": 300}, 240, 300, id="few texts"),
        pytest.param({"epochs": 4, "batch_texts": 32, "max_steps": 5000}, 1_000_000, 5000, id="very many texts"),
        pytest.param({"steps": 77}, 1_000_000, 77, id="as said"),
    ],
)
def test_steps_suit_a_set_of_any_size(options: dict[str, int], texts: int, steps: int) -> None:
    assert plan_from(options).total_steps(texts) == steps
