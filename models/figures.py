"""Numbers for people: few digits, commas between thousands."""


def in_few_digits(value: float, digits: int = 3) -> str:
    """Rounded to so many significant digits: 25,900 and 0.0123. An exponent only below a ten-thousandth and from a
    quadrillion on."""
    return f"{float(f'{value:.{digits}g}'):,.15g}"
