"""Addresses that may be sent to: what an organisation types must not lead into our own networks.

Source: OWASP, "Server-Side Request Forgery Prevention"; standard-webhooks/spec, "SSRF".
"""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from core.settings import read_origin
from payments.webhooks.errors import BadWebhookUrl
from payments.webhooks.rules import URL_CHARS_MAX

HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80
HOST_CHARS_MAX: Final = 253
Address = IPv4Address | IPv6Address
# IPv6 that carries an IPv4 address: translators and tunnels lead where that one leads.
_CARRIERS: Final = tuple(
    ip_network(one)
    for one in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
) + tuple(ip_network(one) for one in ("2002::/16", "2001::/32"))
# Not for use by hosts, whatever this Python's tables say. Source: RFC 6890, RFC 3879, RFC 7526.
_RESERVED: Final = tuple(ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where one endpoint is reached."""

    host: str  # as it is named: for Host and SNI; without brackets
    port: int
    is_tls: bool
    path: str  # with its query
    is_allowed: bool  # by the operator's setting: wherever it leads

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = HTTPS_PORT if self.is_tls else HTTP_PORT
        return host if self.port == usual else f"{host}:{self.port}"


def list_origins(webhook_origins: Collection[str], org_code: str) -> list[str]:
    """List where else one organisation may be sent to.

    Args:
        webhook_origins: PHOPAY_WEBHOOK_ORIGINS, each `CODE=origin`.
    """
    return [
        origin
        for code, _, origin in (one.partition("=") for one in webhook_origins)
        if code == org_code
    ]


def read_destination(url: str, allowed_origins: Collection[str]) -> Destination:
    """Read the address of a webhook endpoint.

    Args:
        url: as it was typed.
        allowed_origins: where else than to public hosts by https on port 443 may be sent:
            the operator's word for machines inside, of this organisation (list_origins).

    Raises:
        BadWebhookUrl: says why.
    """
    if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise BadWebhookUrl(
            f"An address has up to {URL_CHARS_MAX} ASCII characters without spaces;"
            " write letters with marks as %XX, and such names of hosts in Punycode."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadWebhookUrl("This is no address. Write https://host/path.") from None
    origin = read_origin(url)
    if origin is None or "\\" in url or len(parts.hostname or "") > HOST_CHARS_MAX:
        raise BadWebhookUrl("This is no address. Write https://host/path.")
    if "@" in parts.netloc:
        raise BadWebhookUrl(
            "Leave user and password out of the address: deliveries are signed with the secret."
        )
    if parts.fragment:
        raise BadWebhookUrl("Leave out what follows #: it is never sent.")
    assert parts.hostname is not None
    is_tls = parts.scheme == "https"
    is_allowed = origin in allowed_origins
    if not is_allowed:
        if not is_tls:
            raise BadWebhookUrl("Only https is sent to.")
        if port not in (None, HTTPS_PORT):
            raise BadWebhookUrl("Only port 443 is sent to.")
        _refuse_plain_addresses(parts.hostname)
    path = parts.path or "/"
    return Destination(
        host=parts.hostname,
        port=port or (HTTPS_PORT if is_tls else HTTP_PORT),
        is_tls=is_tls,
        path=f"{path}?{parts.query}" if parts.query else path,
        is_allowed=is_allowed,
    )


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet's, and none that stands for another."""
    if any(address in one for one in (*_CARRIERS, *_RESERVED)):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _refuse_plain_addresses(host: str) -> None:
    """Refuse what is known not to be public before it is ever looked up."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.rstrip(".").lower()
        last = name.rpartition(".")[2]
        # A number as the last label is an IPv4 address in one of its odd forms: 127.1, 0x7f.1.
        if "." not in name or last in ("localhost", "local", "internal") or last[:1].isdigit():
            raise BadWebhookUrl("Name a host of the public Internet.") from None
        return
    if not is_public(address):
        raise BadWebhookUrl("Name a host of the public Internet.")
