"""Pictures by their address, from hosts that the operator has named and from no other.

An address in a record is a stranger's wish. So the host must stand in HEADRACE_PICTURE_HOSTS, with its port where that
is not the usual one; its addresses must be public, or of a network that is named as well, and the connection goes to
the very address that was looked at; no redirect is followed, no proxy asked, and bytes and seconds are bounded.
"""

import ipaddress
from typing import Final

from connectors.errors import ReceiverDenied, ReceiverUnavailable
from connectors.outbound.deadline import Deadline
from connectors.outbound.destinations import AllowedHosts, Destination, Resolve
from connectors.outbound.http import DEFAULT_PORTS, Url, exchange
from models.errors import ConfigError, PictureFault

SETTING: Final = "HEADRACE_PICTURE_HOSTS"
MOST_CHARACTERS: Final = 2_048  # of an address
_HEADERS: Final = {"Accept": "image/*", "Accept-Encoding": "identity"}


class WebPictures:
    """`connectors.ports.PictureSource`."""

    def __init__(self, names: str, resolve: Resolve | None = None) -> None:
        """names: hosts, `host:port`, addresses and networks, separated by commas. Raises ConfigError for one that is
        none."""
        self._hosts: set[tuple[str, int | None]] = set()
        networks = []
        for name in names.replace(",", " ").split():
            try:
                networks.append(str(ipaddress.ip_network(name.strip("[]"), strict=False)))
                continue
            except ValueError:
                host, colon, port = name.rpartition(":")
            if "/" in name or "@" in name or (colon and not port.isdigit()):
                raise ConfigError(f"{SETTING}: {name!r} is no host (cdn.example.com, cdn.example.com:8443) or network")
            self._hosts.add(((host if colon else name).rstrip(".").lower(), int(port) if colon else None))
        self._addresses = AllowedHosts(",".join(networks), resolve, setting=SETTING, what="pictures")

    def fetch(self, address: str, max_bytes: int, seconds: float) -> bytes:
        """See the port."""
        if len(address) > MOST_CHARACTERS:
            raise PictureFault("picture_address", f"the picture's address has more than {MOST_CHARACTERS} characters")
        try:
            url = Url.of(address, "the picture's address")
        except ConfigError as error:
            raise PictureFault("picture_address", str(error)) from None
        with Deadline(seconds) as deadline:
            try:
                destination = self._destination(url)
                status, content = exchange(
                    "GET", url, destination, None, _HEADERS, deadline, read_bytes=max_bytes + 1, as_it_is=True
                )
            except ReceiverDenied as error:
                raise PictureFault("picture_host", str(error)) from None
            except ReceiverUnavailable as error:
                raise PictureFault("picture_unavailable", str(error)) from None
            if deadline.is_over:
                raise PictureFault("picture_unavailable", f"{url.shown} does not answer within {seconds:g} s")
        if status != 200:
            redirected = " (redirects are not followed)" if 300 <= status < 400 else ""
            raise PictureFault("picture_unavailable", f"{url.shown} answered {status}{redirected}")
        if len(content) > max_bytes:
            raise PictureFault("picture_too_large", f"the picture has more than {max_bytes} bytes")
        return content

    def _destination(self, url: Url) -> Destination:
        usual = DEFAULT_PORTS[url.scheme]
        host = url.host.rstrip(".").lower()
        named = (host, url.port) in self._hosts or (url.port == usual and (host, None) in self._hosts)
        if not named and not _is_address(host):
            raise ReceiverDenied(f"{url.shown} does not stand in {SETTING}, so nothing is fetched from there")
        destination = self._addresses.destination(url.host, url.port)
        if not named and not destination.is_named:
            raise ReceiverDenied(f"{url.shown} does not stand in {SETTING}, so nothing is fetched from there")
        if url.scheme != "https" and not destination.is_named:
            raise ReceiverDenied(f"{url.shown}: pictures come unencrypted only from networks named in {SETTING}")
        return destination


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
