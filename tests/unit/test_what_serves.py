"""A release says which strategy was asked for, and which one's model serves."""

from typing import Any

import pytest
from small_release import small_dataset, small_encoder

from headrace.tools.releases.sheet import sheet, strategy_in_words
from headrace.tools.training import _tell_training
from retrain import training_data
from retrain.fitting.tuning.plan import FineTuning
from retrain.job import TrainedRelease, train_release
from retrain.strategies import tuned
from retrain.strategies.full import FullStrategy
from retrain.strategies.tuned import Asked


def trained(monkeypatch: pytest.MonkeyPatch, *, better: bool) -> TrainedRelease:
    """By the full strategy, but that nothing is fine-tuned."""

    def untouched(_: FullStrategy, encoder: Any, dataset: Any, asked: Asked) -> Any:
        return asked.quick(encoder, dataset), {}

    monkeypatch.setattr(FullStrategy, "_tuned", untouched)
    monkeypatch.setattr(tuned, "is_clearly_better", lambda *_: better)
    strategy = FullStrategy({}, {}, lambda *_: b"", FineTuning())
    return train_release("support", small_dataset(), small_encoder(), strategy="full", trainer=strategy)


@pytest.mark.parametrize(
    ("better", "serves", "words"), [(False, "quick", "full (quick serves)"), (True, "full", "full")]
)
def test_a_full_release_says_whether_the_quick_one_serves(
    better: bool, serves: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manifest said `full` though the tuning rows had chosen the quick model."""
    release = trained(monkeypatch, better=better)
    assert (release.manifest["strategy"], release.manifest["serves"]) == ("full", serves)
    assert (release.report["strategy"], release.report["serves"]) == ("full", serves)
    assert next(sheet("support", "2", release.manifest)) == f"support@2: {words}"
    _tell_training(release.report | {"rejected_rows": [], "not_trained": {}}, False)
    assert ("the quick one serves" in capsys.readouterr().out) is not better


def test_a_quick_release_serves_itself() -> None:
    release = train_release("support", small_dataset(), small_encoder())
    assert (release.manifest["strategy"], release.manifest["serves"]) == ("quick", "quick")
    assert strategy_in_words(release.manifest) == "quick"


def test_the_sheet_says_where_the_fast_path_has_a_table_of_the_encoder() -> None:
    heads = [{"name": "intent", "threshold": 0.8}]
    alone = {"fast_path": {"heads": heads, "measured": {"kind": "ngrams"}}}
    beside = {"fast_path": {"heads": heads, "measured": {"kind": "ngrams_with_table"}}}
    older = {"fast_path": {"heads": heads}}
    told = ["\n".join(sheet("support", "2", manifest)) for manifest in (alone, beside, older)]
    assert all("intent from 0.80" in words for words in told)
    assert ["encoder's table of words" in words for words in told] == [False, True, False]


def test_releases_that_do_not_say_what_serves_are_read_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    assert strategy_in_words({"strategy": "full"}) == "full" and strategy_in_words({}) == "None"
    monkeypatch.setattr(training_data, "from_bytes", lambda content, tuned_encoder: tuned_encoder)
    files = {training_data.ROLE: {"sha256": "1"}}
    for described, is_tuned in (
        ({"strategy": "full"}, True),
        ({"strategy": "quick"}, False),
        ({"strategy": "full", "serves": "full"}, True),
        ({"strategy": "full", "serves": "quick"}, False),
    ):
        assert training_data.of_release(described | {"files": files}, lambda _: b"") is is_tuned  # type: ignore[comparison-overlap]
