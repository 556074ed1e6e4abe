"""Ways to be paid, one module each: VietQR direct, and payOS's payment requests.

A new rail is one new module and one line here. Bills import no rail.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from payments.rails.payos import PayOSRail
from payments.rails.protocol import Rail
from payments.rails.vietqr import VietQRRail

_RAILS: Final[tuple[Rail, ...]] = (VietQRRail(), PayOSRail())
RAILS: Final[Mapping[str, Rail]] = MappingProxyType({rail.name: rail for rail in _RAILS})
