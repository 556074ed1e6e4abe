"""The providers that call back, one adapter each: who signed, what was said, what to answer.

Those that can be asked say how, too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from payments.providers.casso.pull import CassoPull
from payments.providers.casso.webhook import Casso
from payments.providers.errors import UnreadableNotice
from payments.providers.payos.pull import PayOSPull
from payments.providers.payos.webhook import PayOS
from payments.providers.protocol import Asking, Provider
from payments.providers.sepay.pull import SePayPull
from payments.providers.sepay.webhook import SePayApiKey, SePayHmac
from payments.providers.types import (
    BODY_BYTES_MAX,
    Acknowledgement,
    Direction,
    EndpointSecrets,
    Fault,
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
    "PULLS",
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

_ADAPTERS: Final[tuple[Provider, ...]] = (
    PayOS(asking=PayOSPull()),
    SePayHmac(asking=SePayPull()),
    SePayApiKey(asking=SePayPull()),
    Casso(asking=CassoPull()),
    VIETQRVN,
)
PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType({p.name: p for p in _ADAPTERS})
PULLS: Final[Mapping[str, Asking]] = MappingProxyType(
    {p.name: p.asking for p in _ADAPTERS if p.asking is not None}
)


def find_provider(name: str) -> Provider | None:
    """Return the adapter of a name in a callback address, or None."""
    return PROVIDERS.get(name)
