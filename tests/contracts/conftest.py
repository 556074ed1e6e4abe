"""A sandbox and a receiver of its callbacks for each test of the contracts."""

from collections.abc import Iterator

import httpx
import pytest

from tests.world.receivers import Receiver, a_receiver
from tests.world.sandboxes import a_sandbox


@pytest.fixture
def sandbox() -> Iterator[httpx.Client]:
    with a_sandbox() as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver
