"""The pages of reference say what the code says, and what is written keeps to the schema that they show."""

from pathlib import Path

import pytest
from pydantic import BaseModel
from small_release import small_release
from test_classify_handler import TEXTS, application, decided, decisions, deliveries

from headrace.tools.references import APPLICATION, RECORDS, pages
from streams.classify.serving import Serving
from streams.wire.records import Decision

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_committed_page_is_what_the_code_says_now(name: str) -> None:
    """N-7: no reference of the application's TOML nor of the records stood anywhere."""
    again = "run: python -m headrace.tools.references docs/reference"
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name], again


@pytest.mark.parametrize(("heading", "model"), [*APPLICATION, *RECORDS])
def test_every_field_is_explained(heading: str, model: type[BaseModel]) -> None:
    unexplained = [name for name, field in model.model_fields.items() if not field.description]
    assert not unexplained


def test_a_workers_decision_keeps_to_the_schema_and_has_no_field_beside_it() -> None:
    outcomes = decided(application(), Serving(small_release().classifier), deliveries(TEXTS[:5]))
    for written in decisions(outcomes):
        decision = Decision.model_validate(written, strict=True)
        assert not decision.model_extra
        assert not any(answer.model_extra for answer in decision.labels.values())
