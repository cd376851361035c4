"""The tables `[slots.NAME]` and `[privacy]`: which values are looked for in a text, what is asked where one is missing,
and what of a text nobody keeps."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from models.personal_data import REGIONS
from models.slots.patterns import compiled
from streams.application.names import SHAPE
from streams.daily_hours import time_zone


class SlotSpec(BaseModel):
    """A value that a text may give, such as its order number (`docs/slots.md`)."""

    model_config = SHAPE

    kind: Literal["pattern", "names", "amount", "date", "email", "phone", "iban", "card"] = "pattern"
    """`pattern`: what `pattern` matches; `names`: a name of the list `names`; `amount`: money with its currency;
    `date`: a day, relative ones too; the others: personal data, by shape and check digits."""
    pattern: str = ""
    """`pattern` only: a regular expression as RE2 reads it, in single quotation marks. With a group in brackets, the
    first group is the value."""
    checksum: Literal["", "luhn", "verhoeff", "damm", "ean", "mod_11_2", "mod_11_10", "mod_37_2", "mod_97_10"] = ""
    """`pattern` only: which check digits a value has; one with wrong ones is not taken. The `mod_` ones are of
    ISO 7064."""
    names: Path | None = None
    """`names` only: a CSV, relative to this file, with the columns `id` and `name`, and if need be `aliases` with `|`
    between them."""
    month_first: bool = False
    """`date` only: whether 11/03/2026 is a day in November."""
    time_zone: str = "UTC"
    """`date` only: where it is decided what day "today" was."""
    asked_by: dict[str, tuple[str, ...]] = {}
    """Labels by head, such as `{intent = ["refund_status"]}`: who writes such a text must give this value."""
    ask: str = ""
    """What is said to somebody who did not give it. Needed where `asked_by` is."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "SlotSpec":
        own = {
            "pattern": "pattern",
            "checksum": "pattern",
            "names": "names",
            "month_first": "date",
            "time_zone": "date",
        }
        for field, kind in own.items():
            if field in self.model_fields_set and self.kind != kind:
                raise ValueError(f'{field} is for kind = "{kind}", and this is a slot of kind = "{self.kind}"')
        if self.kind == "pattern":
            if not self.pattern:
                raise ValueError('a slot needs a pattern, or a kind such as "date"')
            compiled(self.pattern)
        if self.kind == "names" and self.names is None:
            raise ValueError('a slot of kind = "names" needs the list: names = "FILE.csv"')
        time_zone(self.time_zone)
        if bool(self.asked_by) != bool(self.ask.strip()):
            raise ValueError("asked_by says for which labels, ask says what is asked: give both, or neither")
        return self


class Privacy(BaseModel):
    """What of a text is masked before anything is decided, sent or stored (`docs/slots.md`)."""

    model_config = SHAPE

    mask: bool = False
    """Whether cards, IBANs, e-mail addresses and phone numbers become `[card]`, `[iban]`, `[email]` and `[phone]`
    in the text and in the fields that are kept of a record. A record that cannot be decided becomes a dead letter as it
    came."""
    regions: tuple[str, ...] = Field(default=REGIONS, max_length=16)
    """Countries whose national phone numbers are known for such; those with + or 00 are of every country."""

    @model_validator(mode="after")
    def _regions_are_countries(self) -> "Privacy":
        others = [region for region in self.regions if region not in REGIONS]
        if not others:
            return self
        from phonenumbers import SUPPORTED_REGIONS  # 0.1 s that a start without it does not wait

        for region in others:
            if region not in SUPPORTED_REGIONS:
                raise ValueError(f"regions: {region!r} is no country's code of two capital letters, such as DE")
        return self
