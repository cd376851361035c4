"""Where a connection may lead: to public addresses, and to what the operator has named.

An address in an application's file or in a record must not become a way to this machine's own services or to a cloud's
metadata. So a name is resolved once, every answer is looked at, and the connection goes to that very address: a second
look-up could say something else (DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.errors import ReceiverDenied, ReceiverUnavailable
from models.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# what Python counts as global though it is not, or leads to what is not (IANA's special-purpose registries; Azure's
# host, which answers inside of its machines only)
_SPECIAL = [
    ipaddress.ip_network(name)
    for name in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10", "168.63.129.16/32", "192.88.99.0/24")
]


@dataclass(frozen=True, slots=True)
class Destination:
    """A host as it was named, and the addresses to connect to, each of them looked at. is_named: the operator has named
    it."""

    host: str
    addresses: tuple[str, ...]
    port: int
    is_named: bool


class AllowedHosts:
    """Host names, addresses and networks that connections may go to though they are not public."""

    def __init__(
        self,
        names: str = "",
        resolve: Resolve | None = None,
        *,
        setting: str = "HEADRACE_ALERT_HOSTS",
        what: str = "alerts",
    ) -> None:
        """names: separated by commas or blanks. setting, what: how errors call where they are named, and what goes
        there. Raises ConfigError for one that is none."""
        self._setting, self._what = setting, what
        self._hosts: set[str] = set()
        self._networks: list[Any] = []
        self._resolve = resolve or _resolved
        for name in names.replace(",", " ").split():
            try:
                self._networks.append(ipaddress.ip_network(name.strip("[]"), strict=False))
            except ValueError:
                if "/" in name or ":" in name:
                    raise ConfigError(f"{setting}: {name!r} is no host name, address or network (10.0.0.0/8)") from None
                self._hosts.add(name.rstrip(".").lower())

    def destination(self, host: str, port: int) -> Destination:
        """Where to connect for a host. Raises ReceiverDenied where it must not be, ReceiverUnavailable where nobody
        knows it."""
        name = host.strip("[]").rstrip(".").lower()
        try:
            addresses = [str(ipaddress.ip_address(name))]
        except ValueError:
            addresses = list(self._resolve(name, port))
        if not addresses:
            raise ReceiverUnavailable(f"{host} has no address")
        is_named = name in self._hosts or all(self._is_named(address) for address in addresses)
        for address in addresses:
            if not is_named and not _is_public(ipaddress.ip_address(address.partition("%")[0])):
                raise ReceiverDenied(f"{host} is {address}, which is no public address: {self.way_out}")
        return Destination(host, tuple(addresses), port, is_named)

    @property
    def way_out(self) -> str:
        """What to do where a host is not allowed."""
        return f"name it in {self._setting} if {self._what} shall go there"

    def _is_named(self, address: str) -> bool:
        one = ipaddress.ip_address(address.partition("%")[0])
        return any(one in network for network in self._networks if network.version == one.version)


def _is_public(address: Address) -> bool:
    """An address that embeds another one is as public as that."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    is_special = any(address in network for network in _SPECIAL if network.version == address.version)
    return address.is_global and not address.is_multicast and not is_special


def _resolved(name: str, port: int) -> list[str]:
    try:
        answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ReceiverUnavailable(f"{name} cannot be resolved: {error}") from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))
