"""Two releases by what they say of names: counted by hand, judged by the gate, told in its words and on its page."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from small_entities import small_entity_rows, small_gazetteer, small_reader, small_trained_entities
from small_release import small_encoder, small_release
from small_tagger import small_tagger, tagger_rows

from headrace.pages.verdict import render_verdict
from models.decision import HeadDecision
from models.entities.reader import EntityReader
from retrain.data import Row
from retrain.entities.comparing import EntityComparison, ReadsNames, SpanCounts, compare_entities, rows_that_judge
from retrain.entities.release import fit_entities
from retrain.entities.rows import EntityRow
from retrain.evaluation.scoring import HeadMetrics, score_head
from retrain.gate.entities import NAME, entity_check
from retrain.gate.judging import judge
from retrain.gate.no_worse import ENOUGH


def release(reader: EntityReader | None) -> ReadsNames:
    return ReadsNames(reader, small_encoder(), str)


def counted(right: list[int], told: list[int] | None = None) -> SpanCounts:
    return SpanCounts(np.array(right if told is None else told), np.array(right))


def compared(before: list[int], after: list[int], labelled: list[int]) -> EntityComparison:
    """Spans given: all are told."""
    sides = (counted(one, labelled) for one in (before, after))
    return EntityComparison(np.array(labelled), *sides, found=False)


def test_a_span_counts_where_its_ends_and_what_is_said_are_right() -> None:
    """Of five labelled ones four are told and two more: three of them rightly."""
    counts = SpanCounts(np.array([4, 2]), np.array([2, 1]))
    assert counts.f1(np.array([3, 2])) == pytest.approx(2 * 3 / (6 + 5))
    assert counts.f1(np.array([3, 2]), np.array([0, 2])) == pytest.approx(2 * 2 / (4 + 4))


def test_a_list_alone_is_told_the_spans_and_is_as_right_as_its_head() -> None:
    rows = small_entity_rows().part("test")
    both = compare_entities(release(small_reader()), release(small_reader()), rows)
    metrics = small_trained_entities().metrics
    assert both is not None and metrics is not None and not both.found
    assert both.before == both.after == pytest.approx(metrics.accuracy) and both.ci95 == (0.0, 0.0)


def test_a_tagger_must_find_the_names_too() -> None:
    rows = tagger_rows().part("test")
    head = small_trained_entities().head
    finds = release(EntityReader(small_gazetteer(), head, small_tagger()))
    both = compare_entities(finds, release(EntityReader(small_gazetteer(), head)), rows)
    assert both is not None and both.found and both.after == 0.0
    right = told = 0
    for row in rows:
        wanted = dict(zip(((one.start, one.end) for one in row.mentions), row.labels, strict=True))
        named = [mention for mention, _ in small_tagger().find([row.text], small_encoder())[0]]
        told += len(named)
        only = EntityRow(row.text, tuple(named), tuple(wanted.get((one.start, one.end), "?") for one in named))
        alone = compare_entities(release(small_reader()), release(small_reader()), [only])
        right += 0 if alone is None else int(alone.champion.right.sum())
    assert right > 0 and both.before == pytest.approx(2 * right / (told + both.names))


def test_a_champion_without_entities_asks_for_none() -> None:
    rows = small_entity_rows().part("test")
    assert compare_entities(release(None), release(small_reader()), rows) is None
    lost = compare_entities(release(small_reader()), release(None), rows)
    assert lost is not None and lost.after == 0.0 and entity_check(lost, 0.025).outcome == "refused"


def test_a_text_judges_that_neither_was_trained_on() -> None:
    def packed(rows: Any) -> tuple[Mapping[str, Any], Any]:
        manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
        fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), rows)
        return manifest, blobs.__getitem__

    rows = small_entity_rows()
    first, *others = rows.part("test")
    turned = type(rows)((*rows.part("train"), EntityRow(first.text, first.mentions, first.labels), *others))
    assert {row.text for row in rows_that_judge(packed(rows), packed(rows))} == {first.text, *(o.text for o in others)}
    assert {row.text for row in rows_that_judge(packed(rows), packed(turned))} == {one.text for one in others}
    assert rows_that_judge((small_release().manifest, small_release().blobs.__getitem__)) == []


def test_a_clear_loss_is_refused_an_equal_side_passes_and_few_names_say_nothing() -> None:
    many = [2] * 400
    equal = entity_check(compared(many, many, many), 0.025)
    assert equal.outcome == "passed" and "loses at most 0.0 points" in equal.words
    assert entity_check(compared([3], [3], [3]), 0.025).outcome == "too few", "one text says nothing"
    worse = [1 if number % 8 == 0 else 2 for number in range(400)]
    refused = entity_check(compared(many, worse, many), 0.025)
    assert refused.outcome == "refused" and "1 is allowed" in refused.words and refused.figures["names"] == 800
    one_name = entity_check(compared([2], [1], [2]), 0.025)
    assert one_name.outcome == "too few", "drawn anew, one text is always the same"
    assert entity_check(compared([1] * 9, [0] * 4 + [1] * 5, [1] * 9), 0.025).outcome == "refused"
    few = entity_check(compared([2] * 8, [1, *[2] * 7], [2] * 8), 0.025)
    assert few.outcome == "too few" and "too few labelled names" in few.words
    enough = [1] * ENOUGH
    changed = [int(number % 25 > 0) for number in range(ENOUGH)]
    moved = entity_check(compared(changed, changed[::-1], enough), 0.025)
    assert moved.outcome == ("passed" if float(str(moved.figures["loss_bound"])) <= 0.01 else "refused")


def test_a_better_head_does_not_make_up_for_entities_that_are_worse() -> None:
    rows = [Row(f"text {number}", {"intent": "a"}, "test") for number in range(400)]

    def decided(given: list[str]) -> dict[str, HeadMetrics]:
        answers = [HeadDecision(label, 0.9) for label in given]
        return {"intent": score_head("intent", rows, answers, range(400), None)}

    before, after = decided(["a" if number % 4 else "b" for number in range(400)]), decided(["a"] * 400)
    names = [1] * 100
    lost = compared(names, [int(number % 5 > 0) for number in range(100)], names)
    assert judge(before, after, rows, "intent").passed
    verdict = judge(before, after, rows, "intent", entities=lost)
    assert not verdict.passed and "what is said of each name: F1 0.800 against 1.000" in verdict.reason
    page = render_verdict(
        verdict.as_json(), app="finance", champion="1", request="r", reason=verdict.reason, at="2026-01-01T00:00:00Z"
    )
    assert NAME in page and "F1 0.800 against 1.000" in page
