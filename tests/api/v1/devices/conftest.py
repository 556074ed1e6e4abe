"""A gate for each test: a lot, its attendant and its manager."""

import pytest

from tests.world.gates import Gate, set_up_gate
from tests.world.hubs import Hub


@pytest.fixture
async def gate(hub: Hub) -> Gate:
    """A lot of an operator, with an attendant and a manager."""
    return await set_up_gate(hub)
