"""Dead letters on real Kafka: listed with their reasons, repaired, sent again, decided."""

import pytest
from harness import Headrace, documents, wait_for

from connectors.kafka.client import KafkaPublisher

pytestmark = pytest.mark.kafka


def test_a_repaired_dead_letter_goes_back_into_its_topic_once_and_is_decided(
    app: tuple[Headrace, str, str], kafka_address: str
) -> None:
    home, toml, name = app
    up = home.start("up", toml, "--from-beginning")
    up.wait_ready()
    publisher = KafkaPublisher(kafka_address)
    publisher.send(f"{name}.chats", b'{"text": "where is my parcel', b"k1", [("source", b"web")])
    publisher.send(f"{name}.chats", b'{"text": "where is my parcel"}', b"k2")
    publisher.flush()
    publisher.close()
    wait_for(lambda: len(documents(home)) == 1, 180, up.text)

    listed = home.json("deadletters", "list", "--topic", f"{name}.chats")
    (letter,) = listed["letters"]
    assert (listed["by_reason"], letter["topic"], letter["resent_at"]) == ({"not_json": 1}, f"{name}.chats", None)
    shown = home.run("deadletters", "show", letter["name"])
    assert '{"text": "where is my parcel' in shown.stdout

    repaired = home.home / "repaired.json"
    repaired.write_text('{"text": "where is my parcel now"}')
    resend = ("deadletters", "resend", "--app", toml)
    assert home.json(*resend, letter["name"], "--value", str(repaired)) == {"sent": 1, "skipped_already_sent": 0}
    wait_for(lambda: len(documents(home)) == 2, 180, up.text)
    assert sorted(str(document["text"]) for document in documents(home).values()) == [
        "where is my parcel",
        "where is my parcel now",
    ]
    assert home.json(*resend, "--topic", f"{name}.chats") == {"sent": 0, "skipped_already_sent": 1}
    assert home.json("deadletters", "list", "--topic", f"{name}.chats")["letters"][0]["resent_at"] is not None
    assert up.stop() == 0


def test_what_cannot_be_sent_again_is_said_in_one_line(app: tuple[Headrace, str, str]) -> None:
    home, _, _ = app
    for arguments, said in (
        (("deadletters", "resend"), "say which"),
        (("deadletters", "resend", "77-12345"), "there is no dead letter 77-12345"),
        (("deadletters", "show", "77-12345"), "there is no dead letter"),
        (("deadletters", "list", "--since", "yesterday"), "is no time"),
    ):
        result = home.run(*arguments)
        assert result.returncode == 1
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
