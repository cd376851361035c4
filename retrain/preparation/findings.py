"""What a check finds: one row, or rows that belong together, by their lines."""

from dataclasses import dataclass
from typing import Final, Literal

Does = Literal["drops", "changes", "masks", "nothing"]


@dataclass(frozen=True, slots=True)
class Kind:
    """title: for a table. means: one sentence. clean: what `headrace data clean` does about it."""

    title: str
    means: str
    clean: Does = "nothing"


KINDS: Final[dict[str, Kind]] = {
    "unreadable": Kind("rows that cannot be read", "a row that no training takes, with the reason", "drops"),
    "no_text": Kind("rows without a text", "the text is empty, or no text", "drops"),
    "no_label": Kind("rows without a label", "the label is empty", "drops"),
    "unknown_split": Kind("rows of no known split", "the split is none of train, valid and test", "drops"),
    "label_names": Kind("labels written in two ways", "labels that differ in case, width or white space only"),
    "rare_label": Kind("very rare labels", "too few different texts to learn the label and to test it"),
    "conflict": Kind("conflicting labels", "the same text with different labels"),
    "suspected_label": Kind("suspected label errors", "models that have not seen the row are sure of another label"),
    "leak": Kind(
        "leaks between splits", "a text of one split stands in another one: it is no test of anything", "drops"
    ),
    "near_leak": Kind("near leaks between splits", "nearly the same text stands in another split"),
    "copy": Kind("exact copies", "the same text but for case, width and white space", "drops"),
    "near_copy": Kind("near copies", "the same text but for numbers, or with most of its characters in common"),
    "personal": Kind("personal data", "cards, IBANs, e-mail addresses and phone numbers", "masks"),
    "encoding": Kind("wrongly decoded", "UTF-8 that was read in another encoding", "changes"),
    "damaged": Kind("lost characters", "the replacement character, or half a character: what stood there is gone"),
    "invisible": Kind("invisible characters", "control characters, or characters without a width", "changes"),
    "unicode": Kind("not composed", "letters and their accents apart (Unicode's NFC joins them)", "changes"),
    "html": Kind("HTML", "tags or entities of HTML", "changes"),
    "space": Kind("white space", "white space around the text, doubled or of unusual kinds", "changes"),
    "script": Kind("another script", "written in a script that few of the texts are written in"),
    "short": Kind("very short texts", "fewer than two letters or digits"),
    "long": Kind("very long texts", "more than ten times as long as most; what an encoder does not read of it is cut"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """kind: of KINDS. lines: of the file; the first one is the row that the finding is about. detail: in a few words,
    nothing of a text in it. label, suggested: of a suspected label error, with its score in [0, 1], lower is worse."""

    kind: str
    lines: tuple[int, ...]
    detail: str = ""
    label: str = ""
    suggested: str = ""
    score: float | None = None
