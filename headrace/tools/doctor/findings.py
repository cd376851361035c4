"""What an examination says, and the frame that each check stands in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from connectors.addresses import redacted
from models.errors import HeadraceError

LENGTH = 1_000  # characters of a detail; a foreign client may print all that it was asked


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    what: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Check:
    """A part of the examination. what: heads the line where it cannot be made."""

    what: str
    findings: Callable[[], Iterable[Finding]]


def run_checks(checks: Sequence[Check]) -> list[Finding]:
    """All of them, secrets left out; whatever one raises is a failed line and keeps none of the others from running."""
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check.findings()
        except HeadraceError as error:
            findings.append(Finding(check.what, False, str(error)))
        except Exception as error:
            words = " ".join(str(error).split())
            findings.append(Finding(check.what, False, f"the check itself failed: {type(error).__name__}: {words}"))
    return [Finding(finding.what, finding.ok, _shortened(redacted(finding.detail))) for finding in findings]


def _shortened(detail: str) -> str:
    return detail if len(detail) <= LENGTH else detail[: LENGTH - 1] + "…"
