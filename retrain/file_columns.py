"""What the columns of labelled files are called: as somebody asks, else as the application or the release says, else as
usual (`text`, `label`, a head's own name); and how the text of a row is read, by whatever reads rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from models.texts.reading import AS_IT_STANDS, Reading

TEXT: Final = "text"
LABEL: Final = "label"  # of the first head, where no column is called as it should be


@dataclass(frozen=True, slots=True)
class FileColumns:
    """labels: head to column, the primary head first. title: what becomes the texts' first line, as a record's title
    does; None: there is none. reading: how texts and titles are read, as the application says of
    records."""

    labels: Mapping[str, str] = field(default_factory=dict)
    text: str = TEXT
    title: str | None = None
    reading: Reading = AS_IT_STANDS

    def text_of(self, fields: Mapping[str, Any]) -> Any:
        """A row's text, its title as the first line, as a worker reads a record of the same fields; as it stands where
        it is no text, None where there is nothing."""
        if self.title is None:
            return self.reading.masked(self.reading.whole(fields.get(self.text)))
        return self.reading.masked(self.reading.titled(fields.get(self.title), fields.get(self.text)))

    @classmethod
    def of_release(cls, described: Mapping[str, Any]) -> Self:
        """Of the file that it was trained on. described: its manifest; an older one says nothing, and columns are
        called like heads then."""
        said = described.get("training", {}).get("columns") or {}
        heads = [head["name"] for head in described["heads"]]
        labels = {head: said.get("labels", {}).get(head, head) for head in heads}
        return cls(labels, said.get("text", TEXT), said.get("title"), Reading.from_json(said))

    def of_heads(self, heads: Sequence[str]) -> Self:
        """For these heads alone. One that it does not know has a column of its name."""
        return replace(self, labels={head: self.labels.get(head, head) for head in heads})

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        described: dict[str, Any] = {"text": self.text, "labels": dict(self.labels)}
        if self.title is not None:
            described["title"] = self.title
        return described | self.reading.as_json()

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """The reverse of `as_json`."""
        return cls(said["labels"], said["text"], said.get("title"), Reading.from_json(said))

    def in_file(
        self,
        there: Sequence[str],
        *,
        text: str | None = None,
        title: str | None = None,
        label: str | None = None,
        by_head: bool = False,
    ) -> Self:
        """What they are called in a file with the columns `there`. text, title, label (of the first head): as somebody
        asks. by_head: whether a column called like its head will do. What the file has under no name keeps its own
        one, so that whoever reads it says what is missing; other heads than the first are left out then."""
        own = self.text if self.text in there or TEXT not in there else TEXT
        known = self.title if self.title in there else None
        return replace(self, labels=self._labels_in(there, label, by_head), text=text or own, title=title or known)

    def _labels_in(self, there: Sequence[str], asked: str | None, by_head: bool) -> dict[str, str]:
        primary = next(iter(self.labels), LABEL)
        if asked is not None:
            return {primary: asked}
        found = {head: column if column in there or not by_head else head for head, column in self.labels.items()}
        found = {head: column for head, column in found.items() if column in there}
        if primary not in found:
            return {primary: LABEL if LABEL in there else self.labels.get(primary, LABEL)} | found
        return found
