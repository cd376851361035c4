"""aiokafka's errors in Headrace's words, for the producer and for a consumer that gave up. Every class of the client
has its line here; a test holds it to that. (connectors.kafka.errors does the same for kafka-python.)
"""

from aiokafka.errors import UnsupportedCodecError

from connectors.compression import codec_advice
from connectors.errors import KafkaErrors
from models.errors import ConnectorError, HeadraceError
from streams.engine import delivery

# The broker is not there, is busy with itself, or did not answer in time: the same call may succeed a moment later.
UNAVAILABLE = frozenset(
    [
        "NoBrokersAvailable",
        "NodeNotReadyError",
        "KafkaProtocolError",
        "CorrelationIdError",
        "Cancelled",
        "TooManyInFlightRequests",
        "StaleMetadata",
        "MetadataEmptyBrokerList",
        "KafkaUnavailableError",
        "KafkaTimeoutError",
        "KafkaConnectionError",
        "QuotaViolationError",
        "ConsumerStoppedError",
        "ProducerClosed",
        "UnknownTopicOrPartitionError",
        "LeaderNotAvailableError",
        "NotLeaderForPartitionError",
        "RequestTimedOutError",
        "BrokerNotAvailableError",
        "ReplicaNotAvailableError",
        "StaleControllerEpochError",
        "StaleLeaderEpochCodeError",
        "GroupLoadInProgressError",
        "GroupCoordinatorNotAvailableError",
        "NotCoordinatorForGroupError",
        "NotEnoughReplicasError",
        "NotEnoughReplicasAfterAppendError",
        "RebalanceInProgressError",
        "NotControllerError",
        "ConcurrentTransactions",
        "OperationNotAttempted",
        "KafkaStorageError",
        "FetchSessionIdNotFound",
        "InvalidFetchSessionEpoch",
        "ListenerNotFound",
    ]
)
# User, password, certificate or rights: no retry mends them.
DENIED = frozenset(
    [
        "AuthenticationMethodNotSupported",
        "AuthenticationFailedError",
        "TopicAuthorizationFailedError",
        "GroupAuthorizationFailedError",
        "ClusterAuthorizationFailedError",
        "UnsupportedSaslMechanismError",
        "IllegalSaslStateError",
        "TransactionalIdAuthorizationFailed",
        "SecurityDisabled",
        "SaslAuthenticationFailed",
        "DelegationTokenAuthDisabled",
        "DelegationTokenNotFound",
        "DelegationTokenOwnerMismatch",
        "DelegationTokenRequestNotAllowed",
        "DelegationTokenAuthorizationFailed",
        "DelegationTokenExpired",
        "InvalidPrincipalType",
    ]
)
# The topic is another than before, or may not stand as asked.
TOPIC = frozenset(
    [
        "InvalidTopicError",
        "TopicAlreadyExistsError",
        "InvalidPartitionsError",
        "InvalidReplicationFactorError",
        "InvalidReplicationAssignmentError",
        "InvalidConfigurationError",
        "PolicyViolationError",
        "NoOffsetForPartitionError",
        "OffsetOutOfRangeError",
    ]
)
# Records are not what the broker takes. UnknownError: this client knows no code above 79, so "invalid record" (87, such
# as one without a key for a compacted topic) comes as this one.
RECORD_REASONS = {
    "MessageSizeTooLargeError": delivery.TOO_LARGE,
    "RecordListTooLargeError": delivery.TOO_LARGE,
    "RecordTooLargeError": delivery.TOO_LARGE,
    "CorruptRecordException": delivery.REFUSED,
    "InvalidTimestampError": delivery.REFUSED,
    "UnknownError": delivery.REFUSED,
}
# Refused for good: a wrong call, a version or feature that one side lacks, or a state that no retry mends.
REFUSED = frozenset(
    [
        "KafkaError",
        "IllegalStateError",
        "IllegalArgumentError",
        "UnrecognizedBrokerVersion",
        "IncompatibleBrokerVersion",
        "CommitFailedError",
        "UnsupportedCodecError",
        "KafkaConfigurationError",
        "IllegalOperation",
        "ProducerFenced",
        "BrokerResponseError",
        "NoError",
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
        "InvalidRequestError",
        "UnsupportedForMessageFormatError",
        "OutOfOrderSequenceNumber",
        "DuplicateSequenceNumber",
        "InvalidProducerEpoch",
        "InvalidTxnState",
        "InvalidProducerIdMapping",
        "InvalidTransactionTimeout",
        "TransactionCoordinatorFenced",
        "LogDirNotFound",
        "UnknownProducerId",
        "ReassignmentInProgress",
        "NonEmptyGroup",
        "GroupIdNotFound",
        "MemberIdRequired",
    ]
)


def translate(error: Exception) -> HeadraceError:
    """Headrace's error for one of aiokafka: MessageError (reason `too_large` or `refused`) where the records are at
    fault, else a ConnectorError, which says by its class whether to try again."""
    if isinstance(error, UnsupportedCodecError):
        return ConnectorError(codec_advice(error))
    return _ERRORS.translate(error, "Kafka", repr(error))  # some of them cannot be told by str


_ERRORS = KafkaErrors(UNAVAILABLE, DENIED, TOPIC, RECORD_REASONS, REFUSED)
