"""What people say of decisions: labels, who is looking at which text, and which labels are doubted."""

from typing import Any, Literal

from pydantic import Field

from streams.wire.records.base import Wire


class Feedback(Wire):
    """What a person (or a system that knows) says a decision should have been. Written to `feedback.labels`, keyed
    `decision_id|head|by`: a later record of the key replaces it, one without a value withdraws it."""

    decision_id: str
    """The decision's `id`."""
    head: str
    """The head that the label is for."""
    label: str
    """The right label."""
    by: str
    """Who says so."""
    at: str
    """When, RFC 3339."""
    first_at: str | None = None
    """Since when they say so, where they have said the same of this decision before; RFC 3339. Who said it first is
    vouched for by who says it after them."""
    introduces: bool | None = None
    """Whether the label is meant to be new; else one that the model does not know trains only once ten texts and two
    people stand behind it."""
    chosen: Literal["random", "queue", "correction", "import"] | None = None
    """How the decision came to be labelled: `random` (drawn whatever was decided), `queue` (asked for, as worth
    knowing), `correction` (somebody noticed it), `import` (labelled elsewhere); none: written before this was noted.
    Only `random` can say how often decisions are right."""
    probability: float | None = Field(default=None, gt=0, le=1)
    """`random` only: how probable it was that this decision was drawn."""
    stratum: Literal["episode"] | None = None
    """`random` only: the part of the stream that it was drawn from, more densely than from the rest. Such labels
    compare releases and say nothing of how often decisions are right; none: all of the stream."""
    tests: bool | None = None
    """Whether its text is one of those that only test new releases and never train one; none: written before this was
    noted, or the text was not known."""
    confirms: bool | None = None
    """Whether the giver was told that the label is doubted, and means it. It counts where nobody else labels, or
    hardly anybody; else a second person's word is wanted."""
    decided: str | None = None
    """The label that the decision had; none: written before this was noted."""

    @property
    def is_of_the_stream(self) -> bool:
        """Whether it was drawn from all decisions: only such labels say how often decisions are right."""
        return self.chosen == "random" and self.stratum is None

    @property
    def key(self) -> bytes:
        """One opinion per decision, head and person."""
        return f"{self.decision_id}|{self.head}|{self.by}".encode()


class Lease(Wire):
    """A person looks at a decision to label it; nobody else is given it meanwhile. Written to `labels.leases`, keyed by
    the decision: of those whose time is not over, the first one's counts."""

    decision_id: str
    """The decision's `id`."""
    by: str
    """Who looks at it."""
    until_ms: int
    """When it ends, milliseconds since 1970; 0: given back."""


class Doubts(Wire):
    """Labels that do not count yet, of which a second person should say what they think. Written to `labels.doubts` by
    each training, keyed by the application: what the last one wrote stands."""

    app: str
    """Whose decisions they are of."""
    request: str
    """The `id` of the request that was trained for."""
    at: str
    """When, RFC 3339."""
    labels: list[dict[str, Any]] = Field(default_factory=list)
    """Each: `decision_id`, `head`, `label`, `by` (a list: who says so), `reason` (`contested`, `relabelling`,
    `unlikely`, `over the cap`), where the texts say so the label `instead`, and `again`: its only person, where their
    own second word makes it count; none: another person must say the same. Those that matter most first."""
