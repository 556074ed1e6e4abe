"""Capabilities of SePay: https://developer.sepay.vn."""

from dataclasses import replace
from typing import Final

from payments.providers.types import Capabilities

# An endpoint whose webhook is set to an API key signs nothing, and so no time either.
API_KEY: Final = Capabilities(issues_secret=False, pull_url="https://my.sepay.vn")
# Documented: reject a signature older than five minutes. Whether a retry is signed anew is not
# documented, so a refusal for age says so and by how much.
HMAC: Final = replace(API_KEY, clock_window_s=300)
