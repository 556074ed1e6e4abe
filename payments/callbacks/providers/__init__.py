"""The providers that call back, one adapter each: who signed, what was said, what to answer.

Those that can be asked say how, too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from payments.callbacks.providers.asking import Asking
from payments.callbacks.providers.asking_casso import AskCasso
from payments.callbacks.providers.asking_payos import AskPayOS
from payments.callbacks.providers.asking_sepay import AskSePay
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
    "ASKABLE",
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

_ADAPTERS: Final[tuple[Provider, ...]] = (
    PayOS(asking=AskPayOS()),
    SePayHmac(asking=AskSePay()),
    SePayApiKey(asking=AskSePay()),
    Casso(asking=AskCasso()),
    VIETQRVN,
)
PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType({p.name: p for p in _ADAPTERS})
ASKABLE: Final[Mapping[str, Asking]] = MappingProxyType(
    {p.name: p.asking for p in _ADAPTERS if p.asking is not None}
)


def find_provider(name: str) -> Provider | None:
    """Return the adapter of a name in a callback address, or None."""
    return PROVIDERS.get(name)
