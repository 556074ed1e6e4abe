"""Releases, and the newest migration of each."""

from typing import Final

RELEASES: Final = {"0.2": "m0014"}
