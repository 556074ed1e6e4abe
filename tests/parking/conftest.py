"""A lot with a tariff and an attendant whose shift is open, for each test of parking."""

from collections.abc import Iterator

import pytest

from ops.postgres.supervisor import Cluster
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.parking_sessions import Gate, a_gate


@pytest.fixture(scope="session")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    """A database with the gate of `gate`; a file that needs another has one of its own."""
    with a_template(cluster, a_gate) as template:
        yield template


@pytest.fixture
def gate(gate_template: Template[Gate], fresh_database: FreshDatabase) -> Gate:
    """A lot with cars at 25.000 ₫ an hour and motorbikes at 5.000 ₫ a visit."""
    return gate_template.holds
