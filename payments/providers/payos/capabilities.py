"""Capabilities of payOS: https://payos.vn/docs."""

from typing import Final

from payments.providers.types import Capabilities, PulledBy

# It signs no time, so a repeat is known by its transaction alone.
PAYOS: Final = Capabilities(
    issues_secret=True,
    pull_url="https://api-merchant.payos.vn",
    pulled_by=PulledBy.ORDER,
    pull_needs_client_id=True,
)
