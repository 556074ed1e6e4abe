"""Capabilities of Casso: https://developer.casso.vn."""

from typing import Final

from payments.providers.types import Capabilities

# The signed time is kept as skew_s; no window is documented, so none is enforced.
CASSO: Final = Capabilities(issues_secret=True, pull_url="https://oauth.casso.vn")
