"""Pairs of sentences that differ in a name, a gender word or a place: of banking support, and of financial news.

Own templates: nothing of them is in any data set, and no choice of training may look at them.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PAIRS: Final = 200  # of each set
Words = tuple[str, str] | tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SentencePair:
    """kind: what differs: name, gender or place."""

    kind: str
    one: str
    other: str


NAMES: Final = (
    ("Emily", "Lakisha"),
    ("Michael", "Mohammed"),
    ("Anna", "Aisha"),
    ("Oliver", "Rajesh"),
    ("Claire", "Xiuying"),
    ("Peter", "Kwame"),
    ("Thomas", "Zhang Wei"),
    ("Sarah", "Guadalupe"),
    ("David", "Dmitri"),
    ("Laura", "Fatima"),
    ("James", "Emily"),
    ("Robert", "Jennifer"),
)
# subject, object, possessive, relation
GENDERS: Final = (
    (("he", "him", "his", "husband"), ("she", "her", "her", "wife")),
    (("he", "him", "his", "brother"), ("she", "her", "her", "sister")),
    (("he", "him", "his", "father"), ("she", "her", "her", "mother")),
    (("he", "him", "his", "son"), ("she", "her", "her", "daughter")),
)
LEADERS: Final = (
    (("he", "him", "his", "chairman"), ("she", "her", "her", "chairwoman")),
    (("he", "him", "his", "spokesman"), ("she", "her", "her", "spokeswoman")),
    (("he", "him", "his", "businessman"), ("she", "her", "her", "businesswoman")),
)
PLACES: Final = (
    ("Paris", "Lagos"),
    ("Berlin", "Karachi"),
    ("Boston", "Detroit"),
    ("Oslo", "Bogota"),
    ("Sydney", "Manila"),
    ("Vienna", "Bucharest"),
    ("Toronto", "Nairobi"),
    ("Dublin", "Dhaka"),
)

BANKING: Final = {
    "name": (
        "I sent money to {0} yesterday and it has not arrived.",
        "My name is {0} and my new card still has not come.",
        "{0} tried to top up my account but the top up failed.",
        "Can {0} and I share one account?",
        "I want to cancel the transfer that I made to {0}.",
        "Please change the name on my account to {0}.",
        "How long does a transfer to {0} take?",
        "I was charged a fee when I paid {0}.",
        "{0} found my lost card, can I use it again?",
        "I gave {0} my PIN, how do I change it?",
        "Hi, this is {0}, my card payment was declined.",
        "Somebody called {0} took money out of my account that I did not approve.",
        "Why is my payment to {0} still pending?",
        "I think {0} has stolen my phone, what should I do?",
        "{0} here. How do I get a refund for something that I bought?",
        "I cannot add {0} as a beneficiary.",
    ),
    "gender": (
        "My {3} sent me money and it does not show in my balance.",
        "I want to add my {3} to my account so that {0} gets a card too.",
        "My {3} lost {2} card, can you freeze it?",
        "I paid my {3} back but {0} has not received it.",
        "How do I order a second card for my {3}?",
        "My {3} used my card and I do not recognise what {0} paid for.",
        "Can my {3} top up my account with {2} own card?",
        "The machine kept the card of my {3} when {0} took out cash.",
        "I made a transfer to my {3} by mistake and want it back from {1}.",
        "How old must my {3} be to open {2} own account?",
        "My {3} forgot {2} passcode and cannot log in.",
        "I was charged twice when I sent {1}, my {3}, some money.",
    ),
    "place": (
        "My card was declined in {0} today.",
        "I took out cash in {0} and was charged a fee.",
        "Can I have my new card sent to {0}?",
        "I am travelling in {0} and my card was stolen.",
        "The exchange rate was wrong when I paid in {0}.",
        "Does my card work in {0}?",
        "I live in {0}, can I open an account?",
        "The ATM in {0} gave me less cash than I asked for.",
        "There is a payment from {0} on my statement that I did not make.",
        "I moved to {0} and need to change my address.",
        "How long does a transfer from a bank in {0} take?",
        "A shop in {0} has not sent my refund yet.",
    ),
}
NEWS: Final = {
    "name": (
        "Analyst {0} Clark raises Apple price target to $220",
        "{0} Reed named chief executive of regional lender",
        "Founder {0} Cole sells $4 million of shares",
        "{0} Hart, finance chief, leaves retailer after profit warning",
        "Tesla shares jump after {0} Stone joins the board",
        "Fund manager {0} Price says stocks look cheap",
        "Oil steadies as minister {0} Young calls for output cuts",
        "{0} Ford cuts Netflix to sell on weaker subscriber growth",
        "Court clears trader {0} West of fraud charges",
        "Airline hires {0} Lane to run its cargo business",
        "Chip maker misses estimates, says CEO {0} King",
        "Bank upgrades Microsoft, analyst {0} Shaw sees cloud growth",
        "Strategist {0} Bell warns that the rally will not last",
        "Biotech led by {0} Marsh wins approval for its drug",
        "{0} Dean to speak at the investor conference on Monday",
        "Dividend raised 10%, says treasurer {0} Cook",
    ),
    "gender": (
        "The {3} said {0} expects profit to rise this year",
        "Steel group's {3} sells half of {2} shares",
        "{3} steps down, says {0} will not return",
        "Shares fall after {3} misses {2} own sales target",
        "The {3} told investors that {0} sees no recession",
        "Board backs the {3} and extends {2} contract to 2022",
        "The {3} says demand is weaker than {0} had hoped",
        "Regulator fines the {3}, who says {0} will appeal",
        "The {3} bought stock worth $1 million, {2} first purchase in years",
        "Stock jumps as the {3} lifts {2} forecast",
        "Investors ask the {3} to give up {2} bonus",
        "The {3} keeps {2} seat on the board",
    ),
    "place": (
        "Retailer opens its tenth store in {0}",
        "{0} based software maker beats estimates",
        "Plant in {0} to close, 500 jobs go",
        "Shares of {0} lender slump after results",
        "Property prices in {0} rise 3% in the quarter",
        "Airline adds flights to {0} as demand grows",
        "Factory output in {0} falls for a third month",
        "Hotel group buys resort near {0}",
        "Stocks in {0} close little changed",
        "Start-up from {0} raises $50 million",
        "Carmaker recalls vehicles made in {0}",
        "Bank moves 200 traders from London to {0}",
    ),
}


def banking_pairs() -> list[SentencePair]:
    """Of banking support, PAIRS of them, always the same."""
    return pairs_of(
        BANKING, {"name": NAMES, "gender": GENDERS, "place": PLACES}, {"name": 80, "gender": 48, "place": 72}
    )


def news_pairs() -> list[SentencePair]:
    """Of financial news, PAIRS of them, always the same."""
    return pairs_of(NEWS, {"name": NAMES, "gender": LEADERS, "place": PLACES}, {"name": 96, "gender": 36, "place": 68})


def pairs_of(
    templates: Mapping[str, Sequence[str]], words: Mapping[str, Sequence[Words]], counts: Mapping[str, int]
) -> list[SentencePair]:
    """counts: of each kind. Each template meets several words, no two of them twice."""
    pairs = []
    for kind, count in counts.items():
        products = itertools.product(range(len(words[kind])), range(len(templates[kind])))
        for turn, place in itertools.islice(products, count):
            one, other = words[kind][(turn + place) % len(words[kind])]
            template = templates[kind][place]
            pairs.append(SentencePair(kind, _filled(template, one), _filled(template, other)))
    return pairs


def _filled(template: str, words: str | Sequence[str]) -> str:
    text = template.format(*([words] if isinstance(words, str) else words))
    return text[0].upper() + text[1:]
