"""kafka-python's errors in Headrace's words. Every class of the client has its line here; a test holds it to that."""

from collections.abc import Iterator
from contextlib import contextmanager

import kafka.errors as client

from connectors.compression import codec_advice
from connectors.errors import BrokerUnavailable, KafkaErrors
from models.errors import ConnectorError, HeadraceError

# The broker is not there, is busy with itself, or did not answer in time: the same call may succeed a moment later.
UNAVAILABLE = frozenset(
    [
        "RetriableError",
        "InvalidMetadataError",
        "Cancelled",
        "KafkaConnectionError",
        "CorrelationIdError",
        "KafkaTimeoutError",
        "MetadataEmptyBrokerList",
        "NodeNotReadyError",
        "StaleMetadata",
        "TooManyInFlightRequests",
        "LeaderNotAvailableError",
        "NotLeaderForPartitionError",
        "RequestTimedOutError",
        "BrokerNotAvailableError",
        "ReplicaNotAvailableError",
        "StaleControllerEpochError",
        "NetworkExceptionError",
        "CoordinatorLoadInProgressError",
        "CoordinatorNotAvailableError",
        "NotCoordinatorError",
        "NotEnoughReplicasError",
        "NotEnoughReplicasAfterAppendError",
        "NotControllerError",
        "KafkaStorageError",
        "FetchSessionIdNotFoundError",
        "InvalidFetchSessionEpochError",
        "ListenerNotFoundError",
        "FencedLeaderEpochError",
        "UnknownLeaderEpochError",
        "StaleBrokerEpochError",
        "OffsetNotAvailableError",
        "PreferredLeaderNotAvailableError",
        "EligibleLeadersNotAvailableError",
        "ElectionNotNeededError",
        "UnstableOffsetCommitError",
        "ThrottlingQuotaExceededError",
        "QuotaViolationError",
        "ConcurrentTransactionsError",
        "FetchSessionTopicIdError",
        "ShareSessionNotFoundError",
        "InvalidShareSessionEpochError",
        "RebalanceInProgressError",
        "UnknownBrokerIdError",
        "NewLeaderElectedError",
        "BrokerIdNotRegisteredError",
        "UnknownProducerIdError",
        "OperationNotAttemptedError",
    ]
)
# User, password, certificate or rights.
DENIED = frozenset(
    [
        "AuthorizationError",
        "TopicAuthorizationFailedError",
        "GroupAuthorizationFailedError",
        "ClusterAuthorizationFailedError",
        "UnsupportedSaslMechanismError",
        "IllegalSaslStateError",
        "SaslAuthenticationFailedError",
        "TransactionalIdAuthorizationFailedError",
        "SecurityDisabledError",
        "DelegationTokenAuthDisabledError",
        "DelegationTokenNotFoundError",
        "DelegationTokenOwnerMismatchError",
        "DelegationTokenRequestNotAllowedError",
        "DelegationTokenAuthorizationFailedError",
        "DelegationTokenExpiredError",
        "InvalidPrincipalTypeError",
        "UnacceptableCredentialError",
        "PrincipalDeserializationFailureError",
    ]
)
# The topic is not there, is another than before, or may not stand as asked.
TOPIC = frozenset(
    [
        "UnknownTopicOrPartitionError",
        "UnknownTopicIdError",
        "InconsistentTopicIdError",
        "InvalidTopicError",
        "TopicAlreadyExistsError",
        "InvalidPartitionsError",
        "InvalidReplicationFactorError",
        "InvalidReplicationAssignmentError",
        "InvalidConfigurationError",
        "PolicyViolationError",
        "TopicDeletionDisabledError",
        "NoOffsetForPartitionError",
        "OffsetOutOfRangeError",
        "LogTruncationError",
        "PositionOutOfRangeError",
        "OffsetMovedToTieredStorageError",
    ]
)
# One record is not what the broker takes; the others are fine.
RECORD_REASONS = {
    "MessageSizeTooLargeError": "too_large",
    "RecordListTooLargeError": "too_large",
    "InvalidRecordError": "refused",
    "InvalidTimestampError": "refused",
    "CorruptRecordError": "refused",
}
# Refused for good: a wrong call, a version or feature that one side lacks, or a state that no retry mends.
REFUSED = frozenset(
    [
        "KafkaError",
        "CommitFailedError",
        "IllegalArgumentError",
        "IllegalStateError",
        "KafkaConfigurationError",
        "KafkaProtocolError",
        "InvalidReceiveError",
        "UnrecognizedBrokerVersion",
        "UnsupportedCodecError",
        "TransactionAbortedError",
        "BrokerResponseError",
        "NoError",
        "UnknownError",
        "InvalidFetchRequestError",
        "OffsetMetadataTooLargeError",
        "InvalidRequiredAcksError",
        "IllegalGenerationError",
        "InconsistentGroupProtocolError",
        "InvalidGroupIdError",
        "UnknownMemberIdError",
        "InvalidSessionTimeoutError",
        "InvalidCommitOffsetSizeError",
        "UnsupportedVersionError",
        "IncompatibleBrokerVersion",
        "InvalidRequestError",
        "UnsupportedForMessageFormatError",
        "OutOfOrderSequenceNumberError",
        "DuplicateSequenceNumberError",
        "InvalidProducerEpochError",
        "InvalidTxnStateError",
        "InvalidProducerIdMappingError",
        "InvalidTransactionTimeoutError",
        "TransactionCoordinatorFencedError",
        "LogDirNotFoundError",
        "ReassignmentInProgressError",
        "NonEmptyGroupError",
        "GroupIdNotFoundError",
        "UnsupportedCompressionTypeError",
        "MemberIdRequiredError",
        "GroupMaxSizeReachedError",
        "FencedInstanceIdError",
        "NoReassignmentInProgressError",
        "GroupSubscribedToTopicError",
        "ProducerFencedError",
        "ResourceNotFoundError",
        "DuplicateResourceError",
        "InconsistentVoterSetError",
        "InvalidUpdateVersionError",
        "FeatureUpdateFailedError",
        "SnapshotNotFoundError",
        "DuplicateBrokerRegistrationError",
        "InconsistentClusterIdError",
        "TransactionalIdNotFoundError",
        "IneligibleReplicaError",
        "FencedMemberEpochError",
        "UnreleasedInstanceIdError",
        "UnsupportedAssignorError",
        "StaleMemberEpochError",
        "MismatchedEndpointTypeError",
        "UnsupportedEndpointTypeError",
        "UnknownControllerIdError",
        "UnknownSubscriptionIdError",
        "TelemetryTooLargeError",
        "InvalidRegistrationError",
        "TransactionAbortableError",
        "InvalidRecordStateError",
        "FencedStateEpochError",
        "InvalidVoterKeyError",
        "DuplicateVoterError",
        "VoterNotFoundError",
    ]
)


def no_broker(address: str) -> BrokerUnavailable:
    """The one line for a broker that is not there."""
    return BrokerUnavailable(
        f"no Kafka broker answers at {address}; start one with `headrace services start` or set HEADRACE_BROKER"
    )


def translate(error: Exception, address: str) -> HeadraceError:
    """Headrace's error for an error of kafka-python (or of the socket and TLS layers under it).

    Returns MessageError for one bad record, else a ConnectorError.
    """
    if isinstance(error, HeadraceError):
        return error
    if isinstance(error, OSError):
        return BrokerUnavailable(f"the connection to Kafka at {address} failed: {error}")
    if isinstance(error, client.UnsupportedCodecError):
        return ConnectorError(f"reading from Kafka at {address}: {codec_advice(error)}")
    return _ERRORS.translate(error, f"Kafka at {address}", str(error))


_ERRORS = KafkaErrors(UNAVAILABLE, DENIED, TOPIC, RECORD_REASONS, REFUSED)


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Inside it, what kafka-python raises comes out as Headrace's errors."""
    try:
        yield
    except (client.KafkaError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise translate(error, address) from error
