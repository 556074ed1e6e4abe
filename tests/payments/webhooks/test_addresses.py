"""Addresses that are refused: what is not public, not https, or carries more than an address."""

from ipaddress import ip_address

import pytest

from payments.webhooks.addresses import is_public, read_destination
from payments.webhooks.errors import BadWebhookUrl

OPERATORS = "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://example.com:8443/hook",
        "https://example.com:80/hook",
        "https://user:pass@example.com/hook",
        "https://user@example.com/hook",
        "https://@example.com/hook",
        "https://example.com/hook#part",
        "https://127.0.0.1/hook",
        "https://2130706433/hook",
        "https://0x7f.0.0.1/hook",
        "https://127.1/hook",
        "https://0177.0.0.1/hook",
        "https://10.0.0.5/hook",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://[64:ff9b::a00:5]/hook",
        "https://localhost/hook",
        "https://api.localhost/hook",
        "https://db.internal/hook",
        "https://printer.local./hook",
        "https://intranet/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://exämple.com/hook",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
        "https://example.com\\@127.0.0.1/",
        "ftp://example.com/hook",
        "https:///hook",
        "https://example.com:99999/hook",
        "//example.com/hook",
        "https://" + "a" * 500 + ".com/",
        "http://127.0.0.1:9001/hook",
        "https://127.0.0.1:9000/hook",
    ],
)
def test_an_address_that_is_not_a_public_https_host_is_refused(url: str) -> None:
    with pytest.raises(BadWebhookUrl):
        read_destination(url, [OPERATORS])


def test_a_public_host_and_what_the_operator_allows_are_taken_as_they_are_written() -> None:
    public = read_destination("https://Hooks.Example.com/in?a=1&b=%20", [])
    assert (public.host, public.port, public.path) == ("hooks.example.com", 443, "/in?a=1&b=%20")
    assert public.authority == "hooks.example.com"
    assert read_destination("https://example.com", []).path == "/"
    assert read_destination("https://93.184.216.34:443/x", []).authority == "93.184.216.34"
    own = read_destination("http://127.0.0.1:9000/hook", [OPERATORS])
    assert own.is_allowed
    assert own.authority == "127.0.0.1:9000"


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.0.1"),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1"),
        *("192.168.1.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "::8.8.8.8"),
        *("64:ff9b::808:808", "64:ff9b:1::1", "2002:808:808::1", "2001:0:808:808::1", "fe80::1"),
        *("fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "fec0::1", "fe80::1%eth0"),
    ],
)
def test_no_address_that_is_not_public_or_stands_for_another_is_sent_to(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "203.162.4.190", "2606:4700::1111", "2405:4800::1"])
def test_public_addresses_are_sent_to(address: str) -> None:
    assert is_public(ip_address(address))
