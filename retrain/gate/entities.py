"""What a challenger must keep of what the champion says of names: F1 of spans with sentiment, no worse.

As of heads (`retrain.gate.no_worse`): shown, where the lower end of the interval of the change is no deeper than
MARGIN; refused, where more than MARGIN is lost beyond chance (also by the sign test over texts, as texts drawn anew
from a few are much alike), or where ENOUGH names do not show it; else the names are too few to say, and nothing is
refused. The interval is the bootstrap's over texts, as F1 is no mean over them.
"""

from scipy.stats import binom

from retrain.entities.comparing import EntityComparison
from retrain.gate.head_checks import CORPUS
from retrain.gate.no_worse import CHANCE, ENOUGH, MARGIN, Outcome
from retrain.gate.verdict import Check
from retrain.paired_bounds import drop_bound

NAME = "what is said of entities is no worse"


def entity_check(compared: EntityComparison, level: float) -> Check:
    """level: the chance at which what loses MARGIN may pass (`no_worse_level`)."""
    low, high = compared.interval(level, CHANCE)
    outcome = _outcome(compared, low, high, at_least=drop_bound(0, 0, compared.texts, 1 - level))
    figures: dict[str, float | int | str | None] = {"where": CORPUS, "texts": compared.texts, "names": compared.names}
    figures |= {"loss": -compared.change, "loss_bound": -low, "margin": MARGIN}
    return Check(NAME, outcome, f"{compared.words}{_said(outcome, -low)}", figures)


def _outcome(compared: EntityComparison, low: float, high: float, at_least: float) -> Outcome:
    """at_least: what so many texts leave open where none of them changes, as an interval of no width says nothing."""
    if max(-low, at_least) <= MARGIN:
        return "passed"
    lost, won = compared.lost_and_won
    # texts drawn anew from a few are much alike: losses must outnumber wins beyond chance as well, as a head's must
    if -compared.change > MARGIN and high < 0 and binom.cdf(won, won + lost, 0.5) <= CHANCE:
        return "refused"
    return "refused" if compared.names >= ENOUGH and -low > MARGIN else "too few"


def _said(outcome: Outcome, bound: float) -> str:
    match outcome:
        case "passed":
            return f"; it loses at most {max(0.0, bound) * 100:.1f} points"
        case "too few":
            return f"; too few labelled names to say that it loses at most {MARGIN * 100:g} point"
        case "refused":
            return f"; it may lose {bound * 100:.1f} points, {MARGIN * 100:g} is allowed"
