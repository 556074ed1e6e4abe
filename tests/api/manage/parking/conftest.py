"""A lot, and a manager who reads its pages."""

from dataclasses import dataclass

import httpx
import pytest

from tests.world.gates import Gate
from tests.world.pages import as_reader


@dataclass(frozen=True, kw_only=True)
class Managed:
    """A lot with its manager's browser."""

    gate: Gate
    browser: httpx.AsyncClient

    @property
    def lot_path(self) -> str:
        """The lot's page."""
        return f"/manage/lots/{self.gate.lot.id}"


@pytest.fixture
def managed(gate: Gate) -> Managed:
    """A lot of a parking operator, and its manager at the pages."""
    return Managed(gate=gate, browser=as_reader(gate.manager))
