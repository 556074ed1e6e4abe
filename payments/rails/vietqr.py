"""The rail "VietQR direct": a transfer to the payee's own account, reported by its provider.

It needs nobody's consent beforehand: the code follows from the bill (payments.vietqr.bill_codes),
so nothing is called, and nothing is ever pending.
"""

from dataclasses import dataclass

from payments.rails.protocol import Remote
from payments.vietqr import bill_codes


@dataclass(frozen=True)
class VietQRRail:
    """The direct rail."""

    name: str = bill_codes.NAME
    remote: Remote | None = None
