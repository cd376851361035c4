"""Numbers as people read them."""

import pytest

from models.figures import in_few_digits


@pytest.mark.parametrize(
    ("value", "digits", "words"),
    [
        (25_912.4, 3, "25,900"),
        (1_250_000_000.0, 3, "1,250,000,000"),
        (999.96, 3, "1,000"),
        (0.012345, 3, "0.0123"),
        (0.0, 3, "0"),
        (-2.5, 3, "-2.5"),
        (123.456, 4, "123.5"),
        (9.97, 2, "10"),
        (float("inf"), 3, "inf"),
    ],
)
def test_figures_have_few_digits_and_no_exponent(value: float, digits: int, words: str) -> None:
    assert in_few_digits(value, digits) == words
