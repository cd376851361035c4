"""What it costs that decisions are wrong more often, by the labels that say so."""

from collections.abc import Iterable

from models.figures import in_few_digits
from streams.monitor.episodes.cost import Cost, labelled_cost
from streams.monitor.episodes.symptoms import Symptom


def errors_cost(symptoms: Iterable[Symptom], events_per_hour: float | None = None) -> Cost | None:
    """Of the last symptom that says that errors rose; None: none does."""
    cost = None
    for symptom in symptoms:
        before, after, labels = symptom.before, symptom.after, symptom.labels
        if symptom.signal != "errors" or before is None or after is None or labels is None or after <= before:
            continue
        cost = labelled_cost((before, labels[0]), (after, labels[1]), events_per_hour)
    return cost


def cost_in_words(cost: Cost | None) -> str:
    """To be put behind a summary."""
    if cost is None:
        return ""
    low, high = cost.accuracy_range
    hourly = cost.errors_per_hour
    often = "" if hourly is None else f", about {in_few_digits(hourly)} wrong ones more an hour"
    return (
        f" By labels of decisions drawn at random {1 - cost.accuracy:.0%} are wrong ({1 - high:.0%} to {1 - low:.0%}), "
        f"before it was {1 - cost.accuracy_before:.0%}{often}. "
        "Only labels can tell that a label means something else now."
    )
