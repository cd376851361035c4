"""aiokafka's errors in Headrace's words; the list is kept against the client's own."""

import aiokafka.errors as client
import pytest

from connectors.errors import AccessDenied, BrokerUnavailable, TopicMismatch
from models.errors import ConnectorError, MessageError
from streams.faust_runtime import errors
from streams.faust_runtime.errors import translate

GROUPS = (errors.UNAVAILABLE, errors.DENIED, errors.TOPIC, frozenset(errors.RECORD_REASONS), errors.REFUSED)


def client_errors() -> dict[str, type[Exception]]:
    kinds = [kind for kind in vars(client).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return {kind.__name__: kind for kind in kinds}


def test_every_error_of_the_client_stands_in_exactly_one_group() -> None:
    """S-A6, S2: each KafkaError of a producer was called "broker unavailable" and tried again for a minute."""
    places = {name: sum(name in group for group in GROUPS) for name in client_errors()}
    assert {name: count for name, count in places.items() if count != 1} == {}


def test_no_group_names_an_error_that_the_client_does_not_have() -> None:
    assert frozenset().union(*GROUPS) - set(client_errors()) == set()


def test_what_is_retriable_there_is_retriable_here() -> None:
    retriable = {name for name, kind in client_errors().items() if getattr(kind, "retriable", False)}
    assert retriable <= errors.UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client.KafkaTimeoutError(), BrokerUnavailable),
        (client.NotEnoughReplicasError(), BrokerUnavailable),
        (client.TopicAuthorizationFailedError("decisions"), AccessDenied),
        (client.ClusterAuthorizationFailedError(), AccessDenied),
        (client.InvalidTopicError(), TopicMismatch),
        (client.MessageSizeTooLargeError(), MessageError),
        (client.for_code(87)(), MessageError),
        (client.KafkaError("sender died"), ConnectorError),
        (type("NewError", (client.BrokerResponseError,), {"errno": 999})(), ConnectorError),
    ],
)
def test_errors_become_headraces(error: Exception, kind: type[Exception]) -> None:
    assert type(translate(error)) is kind


def test_a_record_above_the_topics_limit_is_too_large_and_any_other_refused_one_is_refused() -> None:
    too_large, refused = (translate(kind()) for kind in (client.RecordListTooLargeError, client.InvalidTimestampError))
    assert isinstance(too_large, MessageError) and too_large.reason == "too_large"
    assert isinstance(refused, MessageError) and refused.reason == "refused"


def test_a_missing_decompressor_is_named_with_what_to_install() -> None:
    """F-1 to F-4: "the Kafka client gave up: UnsupportedCodecError: Libraries for snappy compression codec not found;
    start it again", at each start."""
    error = client.UnsupportedCodecError("Libraries for snappy compression codec not found")
    assert "pip install cramjam python-snappy" in str(translate(error))
