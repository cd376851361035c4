"""An event with a picture: one decision with both, and whatever is wrong with the picture, the text is decided."""

import base64
import threading
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from pydantic import ValidationError
from small_pictures import encoded, flat, small_picture_classifier
from small_release import small_release
from test_picture_decoding import png

from models.classifier import Classifier
from models.errors import PictureFault
from streams.application import Application, HeadSpec, Pictures, Source
from streams.classify.handler import ClassifyHandler
from streams.classify.pictures.reading import picture_bytes
from streams.classify.serving import Serving, Trial
from streams.engine.delivery import Delivery, Outcome
from streams.wire.records import Decision

NOW_MS = 1_789_999_000_123
PICTURE = encoded(flat())
BASE64 = base64.b64encode(PICTURE).decode()
ADDRESS = "https://cdn.example.com/parcel.png"


@dataclass
class Web:
    """A PictureSource. answers: by address, bytes, a fault, or seconds to wait. asked: what for. ends:
    nobody waits any more."""

    answers: dict[str, bytes | PictureFault | float]
    asked: list[str] = field(default_factory=list)
    ends: threading.Event = field(default_factory=threading.Event)

    def fetch(self, address: str, max_bytes: int, seconds: float) -> bytes:
        self.asked.append(address)
        answer = self.answers[address]
        if isinstance(answer, float):
            self.ends.wait(answer)
            return PICTURE
        if isinstance(answer, PictureFault):
            raise answer
        return answer


def release(*, pictures: bool = True) -> Classifier:
    small = small_release().classifier
    seeing = small_picture_classifier() if pictures else None
    return Classifier("support", "1", small.encoder, small.vocabulary, list(small.heads.values()), None, seeing)


def handler(
    web: Web | None = None, classifier: Classifier | None = None, queues: dict[str, str] | None = None, **table: Any
) -> ClassifyHandler:
    app = Application(
        name="support",
        topic="events",
        heads=(HeadSpec(name="intent", column="intent"),),
        source=Source(picture="/photo", keep="all"),
        pictures=Pictures(**{"max_seconds": 60} | table),  # no busy machine is late
        queues=queues or {},
        max_dead_letter_share=1,
    )
    return ClassifyHandler(
        app, Serving(classifier or release()), {"events": "e0"}, now_ms=lambda: NOW_MS, picture_source=web
    )


def run(handler: ClassifyHandler, *photos: object) -> list[Outcome]:
    """One batch; of each event the picture as it stands in the record, ... for none."""
    batch = [
        Delivery(
            "events", 0, n, None, orjson.dumps({"text": f"refund {n}"} | ({} if p is ... else {"photo": p})), NOW_MS
        )
        for n, p in enumerate(photos)
    ]
    for _, step in handler.steps:
        step(batch)
    return [delivery.result for delivery in batch]


def decision(outcome: Outcome) -> dict[str, Any]:
    assert outcome.rejected_because is None
    value: dict[str, Any] = orjson.loads(outcome.records[0].value or b"")
    Decision.model_validate(value)
    return value


@pytest.mark.parametrize(
    "photo",
    [
        BASE64,
        BASE64.rstrip("="),
        base64.urlsafe_b64encode(PICTURE).decode(),
        base64.encodebytes(PICTURE).decode(),
        f"data:image/png;base64,{BASE64}",
        ADDRESS,
    ],
    ids=["base64", "no padding", "the other alphabet", "in lines", "a data URL", "an address"],
)
def test_a_picture_is_decided_with_its_text(photo: str) -> None:
    said = decision(run(handler(Web({ADDRESS: PICTURE})), photo)[0])
    expected = release().pictures.classify(release().pictures.decode(PICTURE)[None])[0].decision  # type: ignore[union-attr]
    assert said["picture"] == {"label": expected.label, "probability": round(expected.probability, 6)}
    assert said["labels"]["intent"]["label"] and "photo" not in said["extra"], "no copy of it in every decision"


BAD = {
    "no base64": ("not base64!", "picture_base64"),
    "a number": (7, "picture_base64"),
    "an object": ({"url": ADDRESS}, "picture_base64"),
    "a data URL without base64": ("data:image/svg+xml,<svg/>", "picture_base64"),
    "text in base64": (base64.b64encode(b"this is text").decode(), "picture_type"),
    "a zip in base64": (base64.b64encode(b"PK\x03\x04" + bytes(99)).decode(), "picture_type"),
    "a bomb": (base64.b64encode(png(60_000, 60_000, zlib.compress(b""))).decode(), "picture_pixels"),
    "half a picture": (base64.b64encode(PICTURE[:60]).decode(), "picture_broken"),
    "too many bytes": ("A" * 3_000, "picture_too_large"),
    "another host": ("https://evil.example.com/x", "picture_host"),
}


@pytest.mark.parametrize(("photo", "reason"), BAD.values(), ids=BAD)
def test_a_bad_picture_is_told_and_the_text_decided(photo: object, reason: str) -> None:
    web = Web({"https://evil.example.com/x": PictureFault("picture_host", "not named")})
    bad = handler(web, max_bytes=1_500)
    outcomes = run(bad, photo, BASE64, ...)
    said = decision(outcomes[0])
    assert said["picture"]["fault"] == reason and said["picture"]["detail"] and said["labels"]["intent"]["label"]
    assert decision(outcomes[1])["picture"]["label"], "its neighbour's picture is decided"
    assert "picture" not in decision(outcomes[2])
    assert bad.pictures is not None and bad.pictures.counts == {reason: 1, "decided": 1}


@pytest.mark.parametrize("nothing", [..., None, ""], ids=["absent", "null", "empty"])
def test_where_a_picture_is_demanded_an_event_without_a_good_one_is_a_dead_letter(nothing: object) -> None:
    outcomes = run(handler(required=True), nothing, "not base64!", BASE64)
    assert [outcome.rejected_because for outcome in outcomes] == ["picture_missing", "picture_base64", None]
    assert decision(outcomes[2])["picture"]["label"]
    assert "picture" not in decision(run(handler(), nothing)[0]), "otherwise there is just none"


def test_one_slow_address_does_not_hold_the_batch_up(monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web({f"https://a/{n}": 600.0 for n in range(20)} | {ADDRESS: PICTURE})
    started = time.monotonic()
    slow = handler(web, max_seconds=0.4)
    assert slow.pictures is not None
    reader, began = slow.pictures._reader, list[float]()
    carried = reader._carried

    def noted(*of: Any) -> Any:
        read = carried(*of)
        began.append(time.monotonic())
        return read

    monkeypatch.setattr(reader, "_carried", noted)
    # time passes from when the batch's own picture is read: on a busy machine that alone may take longer
    monkeypatch.setattr(reader, "_clock", lambda: time.monotonic() - began[0] if began else 0.0)
    outcomes = run(slow, *(f"https://a/{n}" for n in range(20)), BASE64)
    assert time.monotonic() - started < 300
    assert [decision(outcome)["picture"].get("fault") for outcome in outcomes] == ["picture_late"] * 20 + [None]
    assert len(web.asked) <= 8, "what was not begun is not begun any more"
    slow.pictures.close()
    web.ends.set()


def test_a_source_that_fails_as_nobody_foresaw_costs_no_text() -> None:
    class Broken(Web):
        def fetch(self, address: str, max_bytes: int, seconds: float) -> bytes:
            raise RuntimeError("a secret in its words")

    said = decision(run(handler(Broken({})), ADDRESS)[0])["picture"]
    assert said == {"fault": "picture_unavailable", "detail": "fetching it failed: RuntimeError"}


def test_addresses_are_fetched_at_once() -> None:
    waiting = threading.Barrier(8, timeout=300)

    class Together(Web):
        def fetch(self, address: str, max_bytes: int, seconds: float) -> bytes:
            waiting.wait()
            return PICTURE

    outcomes = run(handler(Together({})), *(f"https://a/{n}" for n in range(8)))
    assert all(decision(outcome)["picture"]["label"] for outcome in outcomes)


def test_a_release_without_a_picture_part_says_so_and_a_replay_fetches_nothing() -> None:
    said = decision(run(handler(classifier=release(pictures=False)), BASE64)[0])
    assert said["picture"]["fault"] == "picture_no_network"
    assert decision(run(handler(), ADDRESS)[0])["picture"]["fault"] == "picture_host"


def test_a_canary_decides_the_pictures_of_its_keys() -> None:
    other = small_picture_classifier(("a", "b"), size=24)
    small = release()
    canary = Classifier("support", "2", small.encoder, small.vocabulary, list(small.heads.values()), None, other)
    seeing = handler()
    served = Serving(canary).plan.champion
    seeing._serving.set_trials((Trial("canary", served, acts=True),))
    said = decision(run(seeing, BASE64)[0])
    assert said["version"] == "2" and said["picture"]["label"] in ("a", "b")


def test_the_same_text_with_another_picture_has_another_picture_in_its_decision() -> None:
    seeing = handler()
    batch = [
        Delivery("events", 0, n, None, orjson.dumps({"text": "refund please", "photo": photo}), NOW_MS)
        for n, photo in enumerate([BASE64, "not base64!"])
    ]
    for delivery in batch:  # the second text's answer is remembered
        for _, step in seeing.steps:
            step([delivery])
    assert [decision(delivery.result)["picture"].get("fault") for delivery in batch] == [None, "picture_base64"]


def test_an_application_without_pictures_has_no_step_for_them() -> None:
    app = Application(name="support", topic="events", heads=(HeadSpec(name="intent", column="intent"),))
    plain = ClassifyHandler(app, Serving(release()), {"events": "e0"})
    assert [name for name, _ in plain.steps] == ["prepare", "encode", "decide"] and plain.pictures is None


def test_a_table_of_pictures_wants_a_place_where_they_stand() -> None:
    heads = (HeadSpec(name="intent", column="intent"),)
    with pytest.raises(ValidationError, match=r'\[pictures\] needs a pointer to them: picture = "/..." in \[source\]'):
        Application(name="a", topic="t", heads=heads, pictures=Pictures(required=True))
    with pytest.raises(ValidationError, match="in JSON records"):
        Application(name="a", topic="t", heads=heads, source=Source(format="text", picture="/photo"))


def test_a_text_of_base64_is_not_unpacked_beyond_what_is_read() -> None:
    with pytest.raises(PictureFault, match="more than 10 bytes"):
        picture_bytes("A" * 1_000, 10)
