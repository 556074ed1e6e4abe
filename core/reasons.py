"""Reasons as they are stored: a code, with facts that words for people need.

Sentences are made where somebody reads them, in the reader's language (api/pages/reasons.py). What
a person typed is a fact as well, and stays as it was typed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is what it is."""

    code: StrEnum
    facts: Mapping[str, Any] = field(default_factory=dict)  # texts, numbers, lists of them

    def write_facts(self) -> str:
        """Return the facts as JSON."""
        return msgspec.json.encode(self.facts).decode()
