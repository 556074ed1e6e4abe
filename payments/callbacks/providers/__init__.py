"""The providers that call back, one adapter each: who signed, what was said, what to answer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from payments.callbacks.providers.casso import Casso
from payments.callbacks.providers.contract import (
    BODY_BYTES_MAX,
    Acknowledgement,
    Direction,
    EndpointSecrets,
    Fault,
    Provider,
    RawCallback,
    Reading,
    Refusal,
    ReportedTransaction,
    UnreadableNotice,
    Verification,
)
from payments.callbacks.providers.payos import PayOS
from payments.callbacks.providers.sepay import SePayApiKey, SePayHmac
from payments.callbacks.providers.vietqrvn import VietQRvn

__all__ = [
    "BODY_BYTES_MAX",
    "PROVIDERS",
    "VIETQRVN",
    "Acknowledgement",
    "Direction",
    "EndpointSecrets",
    "Fault",
    "Provider",
    "RawCallback",
    "Reading",
    "Refusal",
    "ReportedTransaction",
    "UnreadableNotice",
    "Verification",
    "find_provider",
]

VIETQRVN: Final = VietQRvn()  # the only one that also issues tokens

_ADAPTERS: Final[tuple[Provider, ...]] = (PayOS(), SePayHmac(), SePayApiKey(), Casso(), VIETQRVN)
PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType({p.name: p for p in _ADAPTERS})


def find_provider(name: str) -> Provider | None:
    """Return the adapter of a name in a callback address, or None."""
    return PROVIDERS.get(name)
