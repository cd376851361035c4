"""What `headrace models history` prints."""

from headrace.output import print_json
from headrace.releases.names import parts_of_name, split_name
from headrace.settings import load_settings
from headrace.terminal import say, show_table
from headrace.wiring import Wiring
from models.figures import moment
from streams.wire.records import ReleaseStep

IN_WORDS = {
    "champion": "serves",
    "rolled_back": "serves again",
    "canary": "canary",
    "shadow": "shadow",
    "trials_ended": "trials ended",
    "refused": "refused",
    "tried": "tried",
    "waiting": "waits for approval",
    "rejected": "rejected",
    "stopped": "stopped",
    "put_back": "put back",
}


def show_history(model: str, json: bool) -> None:
    """Every step of a model's releases, or with NAME@VERSION of that one, the oldest first. Raises BrokerUnavailable,
    and ConfigError for no model or no such version."""
    wiring = Wiring(load_settings())
    name, (model, version) = model, parts_of_name(model)
    steps = [step for step in wiring.release_log().history.steps(model) if version in ("", step.version)]
    if not steps:
        split_name(name, wiring.registry())  # a slip in its name is no model without steps
    if json:
        return print_json({"model": model, "steps": [step.model_dump(exclude_none=True) for step in steps]})
    if not steps:
        return say(f"nothing was announced of {model}{version and '@' + version} yet")
    columns = ("at", "version", "step", "by", "why")
    return show_table(columns, [_row(step) for step in steps])


def _row(step: ReleaseStep) -> tuple[object, ...]:
    by = step.by if step.who is None else f"{step.by} ({step.who})"
    figures = ", ".join(f"{name} {value}" for name, value in step.figures.items())
    why = step.reason or (f"request {step.request}" if step.request else "")
    return (
        moment(step.at),
        step.version or "-",
        IN_WORDS.get(step.kind, step.kind),
        by,
        (why, figures) if figures else why,
    )
