"""Capabilities of VietQR.vn: https://api.vietqr.vn."""

from typing import Final

from payments.providers.types import Capabilities

TOKEN_SUBPATH: Final = "api/token_generate"  # noqa: S105 (an address, not a secret)
SYNC_SUBPATH: Final = "bank/api/transaction-sync"

VIETQRVN: Final = Capabilities(
    issues_secret=False, needs_username=True, subpaths=(TOKEN_SUBPATH, SYNC_SUBPATH)
)
