"""A lot whose tariff has monthly prices, for each test of passes."""

from collections.abc import Iterator
from functools import partial

import pytest

from ops.postgres.supervisor import Cluster
from tests.world.databases import Template, a_template
from tests.world.parking_sessions import Gate, a_gate
from tests.world.passes import with_monthly_prices


@pytest.fixture(scope="session")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    """A database with the gate of `gate`."""
    with a_template(cluster, partial(a_gate, document=with_monthly_prices())) as template:
        yield template
