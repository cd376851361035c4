"""Simulated challengers before the gate: which pass, and how often."""

import numpy as np
import pytest

from bench.gate.rows import KINDS, run
from bench.gate.run import report, row
from bench.gate.worlds import Change, Draw, World


def test_a_made_up_challenger_differs_as_its_row_says() -> None:
    world = World({"intent": 5, "urgency": 3}, 4000, [1000], [500], new_share=0.5)
    draw = Draw(world, np.random.default_rng(0))
    challenger = draw.challenger({"intent": Change(0.04, 0.02), "urgency": Change(0.0, 0.0, "label 1")})
    corpus = slice(0, 4000)
    gain = challenger["intent"][corpus].mean() - draw.champion["intent"][corpus].mean()
    assert gain == pytest.approx(0.02, abs=0.008)
    ruined = draw.labels["urgency"] == "label 1"
    assert challenger["urgency"][ruined].mean() == pytest.approx(0.25, abs=0.04)
    assert (challenger["urgency"] == draw.champion["urgency"])[~ruined].all()
    assert draw.champion["intent"][5000:].mean() < 0.25, "labels that were given because the champion was wrong"
    is_new = draw.labels["intent"] == "new"
    assert is_new[4000:5000].mean() == pytest.approx(0.5, abs=0.05) and not draw.champion["intent"][is_new].any()
    assert len(draw.judging(1)) == 5000 and len(draw.judging(1, biased_judge=True)) == 5500


def test_the_same_seed_gives_the_same_report() -> None:
    name = "new subject learnt, 300 texts, 40 live"
    figures = report(3, 5, [name])
    assert figures == report(3, 5, [name]) and list(figures["rows"]) == [name]
    assert figures["rows"][name]["runs"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.at_most or kind.at_least])
def test_the_gate_keeps_its_limits(name: str) -> None:
    """By Wilson's interval of so many runs."""
    kind, figures = KINDS[name], row(name, KINDS[name], 200, 1)
    low, high = figures["ci95"]
    assert low <= (1.0 if kind.at_most is None else kind.at_most), figures
    assert high >= (kind.at_least or 0.0), figures


@pytest.mark.slow
def test_few_texts_are_answered_with_how_many_more() -> None:
    kind = KINDS["better by 2 points, 600 texts"]
    verdicts = [run(kind, np.random.default_rng([9, count])) for count in range(60)]
    refused = [verdict for look, verdict in verdicts if not look]
    assert np.mean([verdict.more_texts is not None for verdict in refused]) > 0.9
