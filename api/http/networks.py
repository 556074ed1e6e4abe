"""Network of a request: what limits count for those without login."""

from ipaddress import IPv6Address, ip_address
from typing import Final

from fastapi import Request

IPV6_BITS: Final = 64  # one subscriber is given at least this much and can use all of it


def network_of(request: Request) -> str:
    """Return "203.0.113.7", of IPv6 the /64 ("2001:db8:1:2::"), or "?" where there is none."""
    return name_network(request.client.host if request.client else "?")


def name_network(host: str) -> str:
    """Return an address as it is counted; IPv4 written as IPv6 is IPv4, a name stays a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    host_bits = 128 - IPV6_BITS
    return str(IPv6Address(int(address) >> host_bits << host_bits))
