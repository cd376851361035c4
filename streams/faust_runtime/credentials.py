"""The Kafka client's security arguments in Faust's words."""

from collections.abc import Mapping
from typing import Any

from faust import SASLCredentials, SSLCredentials
from faust.types.auth import AuthProtocol


def faust_credentials(arguments: Mapping[str, Any]) -> Any:
    """Faust's `broker_credentials`: None, SSLCredentials or SASLCredentials.

    arguments: as aiokafka takes them: security_protocol, and ssl_context, sasl_mechanism, sasl_plain_username,
    sasl_plain_password (a pydantic SecretStr) where they are used.
    """
    context = arguments.get("ssl_context")
    if "sasl_mechanism" not in arguments:
        return SSLCredentials(context) if context else None
    credentials = SASLCredentials(
        mechanism=arguments["sasl_mechanism"],
        username=arguments["sasl_plain_username"],
        password=arguments["sasl_plain_password"].get_secret_value(),
        ssl_context=context,
    )
    # Without a context Faust still says SASL_SSL unless it is told otherwise.
    credentials.protocol = AuthProtocol[arguments["security_protocol"]]
    return credentials
