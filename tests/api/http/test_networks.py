"""Whom a limit counts: one subscriber, however many addresses they may use."""

import pytest

from api.http.networks import name_network


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::"),
        ("?", "?"),
        ("testclient", "testclient"),
    ],
)
def test_address_is_counted_by_its_network(host: str, network: str) -> None:
    assert name_network(host) == network
