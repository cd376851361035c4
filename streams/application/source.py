"""The tables `[source]`, `[[heads]]` and `[entities]`: how a record is shaped, and what is decided about it."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from models.encoder.long_texts import MOST_WINDOWS, LongTexts
from models.texts.reading import Markup
from streams.application.names import SHAPE, Name, Pointer
from streams.topics import SOURCE_MAX_BYTES


class Source(BaseModel):
    """Where text, key and time stand in a record of the topic."""

    model_config = SHAPE

    format: Literal["json", "text"] = "json"
    """`json`: a record is JSON and the pointers below say where things stand; `text`: the whole value is the text."""
    text: Pointer = "/text"
    """JSON pointer to the text; `""`: the record itself is a JSON string."""
    body: Pointer | None = None
    """JSON pointer to what follows below the text, which then is its title: `text = "/title"`, `body = "/body"`. They
    become one text, the title its first line (`docs/long_texts.md`). A record may lack either, not both."""
    markup: Markup = "none"
    """`html`: text and body may hold HTML; what a reader sees of it is decided on and kept: no tags, comments and
    scripts, `&amp;` as &. Files that train are read so as well. `none`: they are taken as they stand."""
    key: Pointer | None = None
    """JSON pointer to what a decision belongs to (a conversation, a customer); without it the record's own key."""
    at: Pointer | None = "/at"
    """JSON pointer to the time of the event: RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since
    1970; else the record's own."""
    keep: Literal["named", "all", "none"] | tuple[Pointer, ...] = "named"
    """Which other fields of a record stand in its decision's `extra`: those that this table names (`symbols`, `item`,
    …), `all`, `none`, or a list of JSON pointers such as `["/channel"]`. They are copied into every decision and its
    store."""
    max_age_days: float = Field(default=366, gt=0, le=36_525)
    """A record older than that when it is read, or an event that much older than its record, is not believed: the next
    best known time stands instead and `extra` says so. Wider for history that is loaded live."""
    max_ahead_days: float = Field(default=1, gt=0, le=366)
    """The same for times ahead of when the record was read or written."""
    max_bytes: int = Field(default=SOURCE_MAX_BYTES, ge=1)
    """A larger value, as it is when unpacked, is not read: it becomes a dead letter with the reason `too_large`."""
    picture: Pointer | None = None
    """JSON pointer to a picture beside the text: base64, a data URL, or an https address of a host that
    HEADRACE_PICTURE_HOSTS names (`docs/models/pictures.md`). A record may have none."""
    symbols: Pointer | None = None
    """JSON pointer to a list (or a text of words) that surges can be grouped by, such as the symbols of a news item."""
    segments: dict[Name, Pointer] = Field(default={}, max_length=8)
    """JSON pointers to fields that drift is told by, such as `{channel = "/channel", group = "/customer/group"}`: an
    episode says in which of their values it happens. Few values each: fields of more than 50 say nothing. `recommend`:
    what is popular is counted in each value apart (a country, a device), the 64 most frequent of all fields."""
    user: Pointer = "/user_id"
    """`recommend` only: JSON pointer to the user of an event."""
    item: Pointer = "/item_id"
    """`recommend` only: JSON pointer to the item that the event is about."""
    action: Pointer = "/action"
    """`recommend` only: JSON pointer to what the user did: view, click, cart, purchase, share or comment."""


class LongTextsSpec(BaseModel):
    """How texts are read that are longer than the encoder's input, and that a first line is a title
    (`docs/long_texts.md`). The table may be empty; without it they are cut. It goes into a release with the next
    `headrace train`."""

    model_config = SHAPE

    windows: int = Field(default=LongTexts().windows, ge=1, le=MOST_WINDOWS)
    """Of the encoder's length each, that are read of a text below its title, from its beginning."""
    title_weight: float = Field(default=LongTexts().title_weight, ge=0, le=1)
    """What the title counts in the embedding; the rest counts what is left of 1."""

    def as_read(self) -> LongTexts:
        """For an encoder."""
        return LongTexts(self.windows, self.title_weight)


class Pictures(BaseModel):
    """What is read of the pictures beside texts, where `[source] picture` says that there are some."""

    model_config = SHAPE

    required: bool = False
    """Whether an event without a picture, or with one that cannot be read, becomes a dead letter. Otherwise its text is
    decided, and the decision says what was wrong with the picture."""
    max_bytes: int = Field(default=5_000_000, ge=1, le=50_000_000)
    """Of a picture's file."""
    max_pixels: int = Field(default=25_000_000, ge=1, le=100_000_000)
    """Width times height; decoding takes 3 to 8 bytes of memory for each, two pictures at once."""
    media_types: tuple[Literal["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"], ...] = (
        "image/png",
        "image/jpeg",
        "image/webp",
    )
    """What is read, told by a file's first bytes."""
    max_seconds: float = Field(default=5.0, gt=0, le=60)
    """For which a batch waits for its pictures, fetched and decoded. What is not there by then is told as
    `picture_late`."""


class Entities(BaseModel):
    """Which companies, indices or goods are looked for in a text, and from what it is learnt what is said of each
    (`docs/models/entities.md`). Both go into a release with the next `headrace train`."""

    model_config = SHAPE

    names: Path
    """A CSV, relative to this file, with the columns `id`, `name`, `aliases` and `tickers` (both with `|` between
    several)."""
    corpus: Path
    """Texts whose entities are labelled, relative to this file: a CSV or JSON lines with `text` and `entities`, a JSON
    list of `{"start": 0, "end": 5, "label": "positive"}`."""
    head: Name | None = None
    """A head whose labels are called the same: its texts teach as well, each as if it were about one entity."""
    tagger: bool = False
    """Whether names that are not in the list are found as well, as the corpus teaches, in which then every name of a
    text must be labelled. The encoder reads each text once more for it."""
    relevance_min: float = Field(default=0.0, ge=0, le=1)
    """How much a text must be about an entity, its `relevance`, to count for it in alerts, trends and digests;
    decisions have all."""


class HeadSpec(BaseModel):
    """A question asked of each text."""

    model_config = SHAPE

    name: Name
    """What the answer is called in decisions, such as `intent`."""
    column: str = Field(min_length=1)
    """The column of its labels in the corpus and in files for training."""
    multi: bool = False
    """Whether a text may have several of its labels, or none (`docs/models/several_labels.md`). Cells of the column
    then hold labels with `|` between them, and an empty one says that none of them holds."""
    polarity: str | None = None
    """A list of good and bad words, `finance` or a TOML file relative to this one: the head then looks at what English
    sentences say with them as well, "loss narrowed" as good (`docs/models/polarity.md`), from the next `headrace train`
    on."""
