"""What is composed of fixed sentences stays the same as long as the rules have the same number.

The list is of the test, so that words which are added to the shipped one change nothing here.
"""

import hashlib
import json

from models.polarity.lists import TABLES
from models.polarity.view import COMPOSES, FEATURES, Polarity

DIGESTS = {
    1: "ef12808e1a1dc6e336004341ec2c63776fe26503b627b16eaf619ac83fb1ceab"
}  # by COMPOSES: other rules or columns get the next number, never another digest

WORDS = {
    "quantities": {"good": "sales, profit, order, dividend", "bad": "cost, loss/losses, debt, churn"},
    "matters": {"good": "breakthrough", "bad": "recall, delay", "restrictions": "ban, lawsuit"},
    "up": {"transitive": "raise, lift, boost", "intransitive": "rise/rose/risen, climb", "adjectives": "higher, more"},
    "down": {
        "transitive": "cut/cut, trim, avoid, escape",
        "intransitive": "fall/fell/fallen, shrink/shrank/shrunk, narrow, slow",
        "adjectives": "lower, fewer, smaller, slower",
    },
    "relieving": {"words": "avoid, escape"},
    "burdening": {"words": "heavier"},
    "silent": {"words": "higher, lower, more, fewer"},
    "empty": {"words": "the, a, its, sharply"},
    "happenings": {"good": "recover, win/won the contract", "bad": "default, lose/lost customers"},
    "qualities": {"good": "strong", "bad": "weak, severe"},
    "negators": {"words": "not, no, never, without", "failing": "fail to/fails to/failed to, stop/stopped/stops"},
    "expectations": {"feared": "feared", "hoped": "hoped, expected", "plain": "forecast, order"},
    "unmoved": {"words": "remain unchanged"},
    "phrases": {"good": "back in the black", "bad": "in the red"},
    "structure": {
        "but": "but",
        "although": "although",
        "despite": "despite",
        "reason": "because, after",
        "unreal": "might have, if",
    },
}
SENTENCES = (
    "",
    "Osk names a new chairman",
    "Sales rose at Osk",
    "Costs rose at Osk",
    "Net loss narrowed sharply",
    "Osk cut its dividend",
    "Varrick trims costs and lifts sales",
    "Higher costs, lower debt",
    "Fewer orders than hoped",
    "A fall in churn at Varrick",
    "Osk did not default",
    "Osk failed to lift sales",
    "Profit stopped falling",
    "The decline slows: costs rise slower than sales",
    "Smaller than feared",
    "Loss smaller than feared at Osk",
    "Ban on Varrick lifted",
    "Lawsuit after a recall",
    "A breakthrough for Osk",
    "Osk escapes a recall",
    "Osk won the contract but lost customers",
    "Although sales fell, profit rose",
    "Despite weak sales Osk raised its dividend",
    "Sales might have risen if costs had fallen",
    "Profit of 9 million against 7 million a year earlier",
    "Debt went from 3.9 to 2.6 times",
    "EPS 0.97 vs 1.12 est",
    "Sales 204 million, year earlier 204 million",
    "Sales remain unchanged",
    "Churn 4% (2023: 7%)",
    "Osk back in the black, Varrick in the red",
    "No breakthrough because of delays",
    "Less severe than thought. Strong orders! Sales climb 5%",
)


def test_other_rules_have_another_number() -> None:
    assert {name: tuple(table) for name, table in WORDS.items()} == dict(TABLES)
    rows = Polarity(WORDS, ("sentiment",)).features(SENTENCES).toarray().round(4)
    assert rows.any(axis=0).all(), "each column is used"
    content = json.dumps([FEATURES, [[f"{value:.4f}" for value in row] for row in rows.tolist()]])
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert DIGESTS.get(COMPOSES) == digest, "raise models.polarity.view.COMPOSES and add its digest here"
