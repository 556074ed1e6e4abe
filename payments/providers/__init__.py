"""Providers: one folder each with its webhook, its pull API and its capabilities.

To add one, add a folder and a line to the registry below.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from payments.providers.casso.pull import CassoPull
from payments.providers.casso.webhook import Casso
from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.payos.pull import PayOSPull
from payments.providers.payos.webhook import PayOS
from payments.providers.protocol import Pull, Webhook
from payments.providers.sepay.pull import SePayPull
from payments.providers.sepay.webhook import SePayApiKey, SePayHmac
from payments.providers.types import (
    BODY_BYTES_MAX,
    Acknowledgement,
    Capabilities,
    Direction,
    EndpointSecrets,
    RawCallback,
    Reading,
    Refusal,
    ReportedTransaction,
    Verification,
)
from payments.providers.vietqrvn.webhook import VietQRvn

__all__ = [
    "BODY_BYTES_MAX",
    "PROVIDERS",
    "Acknowledgement",
    "Capabilities",
    "Direction",
    "EndpointSecrets",
    "Fault",
    "RawCallback",
    "Reading",
    "Refusal",
    "ReportedTransaction",
    "UnreadableNotice",
    "Verification",
    "Webhook",
    "find_provider",
    "find_pull",
    "list_pullable",
]

_REGISTRY: Final[dict[str, Webhook]] = {
    adapter.name: adapter
    for adapter in (
        PayOS(pull=PayOSPull()),
        SePayHmac(pull=SePayPull()),
        SePayApiKey(pull=SePayPull()),
        Casso(pull=CassoPull()),
        VietQRvn(),
    )
}
PROVIDERS: Final[Mapping[str, Webhook]] = MappingProxyType(_REGISTRY)


def find_provider(name: str) -> Webhook | None:
    """Return the adapter of a name in a callback address, or None."""
    return PROVIDERS.get(name)


def find_pull(name: str) -> Pull | None:
    """Return the pull API of a provider; None where it has none, or there is no such provider."""
    provider = PROVIDERS.get(name)
    return None if provider is None else provider.pull


def list_pullable() -> list[str]:
    """List the names of the providers that have a pull API."""
    return [name for name, provider in PROVIDERS.items() if provider.pull is not None]
