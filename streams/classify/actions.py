"""What a decision leads to, per kind of application: the word in a decision's `action`."""

from models.decision import Classification
from streams.application import Application


def action_for(app: Application, classification: Classification) -> str:
    """`queue:<name>` where the application routes by its primary head, `human` for a text the model does not know,
    `none` where nothing follows."""
    primary = classification.heads.get(app.head_names[0])
    if primary is None:
        return "none"
    if primary.rejected:
        return f"queue:{app.human_queue}" if app.queues else "human"
    if app.queues:
        return f"queue:{app.queues.get(primary.label, app.human_queue)}"
    return "none"
