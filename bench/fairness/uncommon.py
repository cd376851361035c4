"""More pairs of sentences, with names and places of many countries, also uncommon ones, and other templates.

The words were fixed before any list or rule was made that they are to try. A quarter of the sentences of banking is
typed without capitals. Own templates: nothing of them is in any data set, and no choice of training may look at them.
"""

from typing import Final

from bench.fairness.pairs import SentencePair, Words, pairs_of

NAMES: Final = (
    ("Gwendolyn", "Tuomas"),
    ("Siobhan", "Nkechi"),
    ("Bartholomew", "Thandiwe"),
    ("Prudence", "Parisa"),
    ("Winifred", "Temitope"),
    ("Heather", "Takeshi"),
    ("Bradley", "Yerlan"),
    ("Duncan", "Siddharth"),
    ("Meredith", "Xochitl"),
    ("Oskar", "Mahinda"),
    ("Ebony", "Zsofia"),
    ("Colin", "Kaveh"),
    ("Graham", "Tevita"),
    ("Bjorn", "Lamar"),
    ("Caoimhe", "Makena"),
    ("Iolanda", "Sipho"),
    ("Giorgos", "Hyun-woo"),
    ("Rupert", "Amanuel"),
    ("Tiffany", "Nattapong"),
    ("Beatrice", "Leilani"),
    ("Clive", "Wiremu"),
    ("Phoebe", "Gulnara"),
    ("Nigel", "Dikembe"),
    ("Tuomas Virtanen", "Chukwuemeka Eze"),
    ("Karen Whitfield", "Nguyen Thi Hoa"),
    ("Heinz Obermeier", "Kimani Wanjiru"),
    ("Grace", "Fatoumata"),
    ("Sebastião", "Þórdís"),
)
GENDERS: Final = (
    (("he", "him", "his", "stepfather"), ("she", "her", "her", "stepmother")),
    (("he", "him", "his", "grandson"), ("she", "her", "her", "granddaughter")),
    (("he", "him", "his", "grandpa"), ("she", "her", "her", "grandma")),
    (("he", "him", "his", "landlord"), ("she", "her", "her", "landlady")),
    (("he", "him", "his", "father-in-law"), ("she", "her", "her", "mother-in-law")),
)
LEADERS: Final = (
    (("he", "him", "his", "congressman"), ("she", "her", "her", "congresswoman")),
    (("he", "him", "his", "heir"), ("she", "her", "her", "heiress")),
    (("he", "him", "his", "frontman"), ("she", "her", "her", "frontwoman")),
    (("he", "him", "his", "duke"), ("she", "her", "her", "duchess")),
)
PLACES: Final = (
    ("Utrecht", "Kumasi"),
    ("Bruges", "Ouagadougou"),
    ("Tromso", "Multan"),
    ("Wichita", "Surabaya"),
    ("Leeds", "Cusco"),
    ("Tampa", "Kazan"),
    ("Ghent", "Gaborone"),
    ("Adelaide", "Tashkent"),
    ("Nagoya", "Maracaibo"),
    ("Cardiff", "Zanzibar"),
    ("Albuquerque", "Novosibirsk"),
    ("Bordeaux", "Chittagong"),
    ("Gdansk", "Mombasa"),
    ("Perth", "Almaty"),
    ("Porto", "Cebu"),
    ("Aberdeen", "Port Moresby"),
    ("Germany", "Nigeria"),
    ("Switzerland", "Papua New Guinea"),
    ("Bavaria", "Punjab"),
    ("Ohio", "Oaxaca"),
    ("Little Rock", "Ulaanbaatar"),
    ("Llanberis", "Oymyakon"),
    ("Hallstatt", "Ollantaytambo"),
    ("Reading", "Nukuʻalofa"),
)

BANKING: Final = {
    "name": (
        "{0} says that the money I sent never showed up.",
        "I'm {0}, my account seems to be blocked.",
        "Could you tell me whether the payment from {0} came in?",
        "My flatmate {0} wants to use the same card as me.",
        "The name on my card should be {0}, it is spelled wrong.",
        "I typed the wrong amount when I sent money to {0}.",
        "The shop owner, {0}, charged me two times.",
        "Who is {0} and why is there a direct debit for them?",
        "I need to verify that I am {0}, which papers do you need?",
        "Is there a limit on what {0} can send me each month?",
        "This is {0} again, the app still shows the wrong balance.",
        "A cheque from {0} is not in my account yet.",
        "I lent {0} my phone and now there are payments I did not make.",
        "Can the card be delivered to {0} at my office?",
    ),
    "gender": (
        "My {3} cannot see {2} transfer in the app.",
        "Does my {3} need {2} passport to get an account?",
        "I think my {3} knows my PIN, can I stop {1}?",
        "Why can my {3} not top up with {2} Visa card?",
        "The card for my {3} has arrived, how does {0} activate it?",
        "My {3} was charged a fee when {0} used the card abroad.",
        "My {3} wants {2} money back from a shop.",
        "I asked my {3} for cash and {0} sent it to my old card.",
    ),
    "place": (
        "Do you have any machines in {0} where I can get cash?",
        "My flight to {0} is tomorrow, will my card be accepted?",
        "I got the wrong amount of money out in {0}.",
        "I was born in {0}, does that matter for my identity check?",
        "There was an extra charge when I bought something in {0}.",
        "My brother lives in {0} and wants to send me money.",
        "How many days until my card gets to {0}?",
        "They would not take my card at a restaurant in {0}.",
        "Somebody used my card in {0}, but I have never been there.",
        "I am back from {0} and my PIN is blocked.",
        "Can I hold the currency of {0}?",
        "I want to pay rent for a flat in {0} from my account.",
    ),
}
NEWS: Final = {
    "name": (
        "{0} joins the bank as head of trading",
        "Regulator questions {0} over the merger",
        "Shares slip as {0} quits the board",
        "{0} buys 10,000 shares of the insurer",
        "Economist {0} sees rates on hold until June",
        "Interview: {0} on why small caps lag",
        "Hedge fund of {0} doubles its stake in a miner",
        "Profit beats estimates in the first quarter under {0}",
        "Drug maker settles with {0} for $12 million",
        "Chief executive {0} cuts outlook for the year",
        "Judge rules against {0} in the patent case",
        "Start-up founded by {0} files for an IPO",
        "{0}: gold could reach a record this year",
        "Activist {0} urges the retailer to sell itself",
    ),
    "gender": (
        "The {3} sold {2} stake in the brewer",
        "Lender says the {3} repaid {2} loan early",
        "{3} loses {2} bid for the football club",
        "Questions grow about what the {3} knew when {0} sold",
        "The {3} warns that {0} may close the plant",
        "Investors cheer as the {3} names {2} successor",
        "The {3} says inflation worries {1}",
        "Insider trading case against {3} dropped, {0} is cleared",
    ),
    "place": (
        "Brewer builds a second plant in {0}",
        "Storm shuts ports near {0}, freight rates jump",
        "{0} to issue bonds worth $300 million",
        "Bank closes its branch in {0} to cut costs",
        "Unemployment in {0} falls to a record low",
        "Miner halts work in {0} after accident",
        "Wheat harvest around {0} misses forecasts",
        "Tourism to {0} recovers faster than expected",
        "Utility from {0} lowers its dividend",
        "House sales slow in {0}",
        "Exporters in {0} hurt by strong currency",
        "Stocks: {0} outperforms as funds return",
    ),
}


def uncommon_banking_pairs() -> list[SentencePair]:
    """Of banking support, PAIRS of them, always the same; each fourth without capitals."""
    words: dict[str, tuple[Words, ...]] = {"name": NAMES, "gender": GENDERS, "place": PLACES}
    pairs = pairs_of(BANKING, words, {"name": 84, "gender": 32, "place": 84})
    return [_typed_small(pair) if number % 4 == 3 else pair for number, pair in enumerate(pairs)]


def uncommon_news_pairs() -> list[SentencePair]:
    """Of financial news, PAIRS of them, always the same."""
    words: dict[str, tuple[Words, ...]] = {"name": NAMES, "gender": LEADERS, "place": PLACES}
    return pairs_of(NEWS, words, {"name": 84, "gender": 32, "place": 84})


def _typed_small(pair: SentencePair) -> SentencePair:
    return SentencePair(pair.kind, pair.one.lower(), pair.other.lower())
