"""kafka-python's errors in Headrace's words; the list is kept against the client's own."""

import kafka.errors as client
import pytest

from connectors.errors import AccessDenied, BrokerUnavailable, TopicMismatch
from connectors.kafka import errors
from connectors.kafka.errors import translate, translated
from models.errors import ConnectorError, MessageError

GROUPS = (
    errors.UNAVAILABLE,
    errors.DENIED,
    errors.TOPIC,
    frozenset(errors.RECORD_REASONS),
    errors.REFUSED,
)


def client_errors() -> dict[str, type[Exception]]:
    kinds = [kind for kind in vars(client).values() if isinstance(kind, type) and issubclass(kind, client.KafkaError)]
    return {kind.__name__: kind for kind in kinds}


def test_every_error_of_the_client_stands_in_exactly_one_group() -> None:
    places = {name: sum(name in group for group in GROUPS) for name in client_errors()}
    assert {name: count for name, count in places.items() if count != 1} == {}


def test_no_group_names_an_error_that_the_client_does_not_have() -> None:
    assert frozenset().union(*GROUPS) - set(client_errors()) == set()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client.KafkaTimeoutError("slow"), BrokerUnavailable),
        (client.KafkaConnectionError("gone"), BrokerUnavailable),
        (ConnectionResetError("reset"), BrokerUnavailable),
        (client.SaslAuthenticationFailedError("who?"), AccessDenied),
        (client.TopicAuthorizationFailedError("no"), AccessDenied),
        (client.UnknownTopicOrPartitionError("none"), TopicMismatch),
        (client.MessageSizeTooLargeError("large"), MessageError),
        (client.KafkaConfigurationError("wrong"), ConnectorError),
        (ValueError("bad topic name"), ConnectorError),
        (client.for_code(9_999)("new"), ConnectorError),
    ],
)
def test_errors_become_headraces(error: Exception, kind: type[Exception]) -> None:
    translated = translate(error, "kafka:9092")
    assert type(translated) is kind
    assert "kafka:9092" in str(translated)
    assert "\n" not in str(translated)


def test_what_is_retriable_there_is_retriable_here() -> None:
    wrong = [
        name
        for name, kind in client_errors().items()
        if kind.retriable and name not in errors.UNAVAILABLE | errors.TOPIC  # type: ignore[attr-defined]  # untyped client
    ]
    assert wrong == []


def test_our_own_errors_pass_through() -> None:
    with pytest.raises(TopicMismatch, match="ours"), translated("kafka:9092"):
        raise TopicMismatch("ours")


def test_programming_errors_are_not_hidden() -> None:
    with pytest.raises(AttributeError), translated("kafka:9092"):
        raise AttributeError("ours")
