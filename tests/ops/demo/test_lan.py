"""The demo on a local network: whom its certificate convinces, and of what."""

import ssl
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from core.clock import read_clock
from ops.demo.lan import (
    AUTHORITY_FILE,
    CERTIFICATE_FOR,
    check_address,
    draw_code,
    ensure_certificate,
    serving_authority,
)
from ops.errors import CannotStart
from ops.processes import family
from ops.serving import bind, start_hub
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.waits import wait_until

HERE = "127.0.0.1"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "0.0.0.0", "192.168.1", "example.com", "172.32.0.1", "::1", ""]
)
def test_the_demo_is_served_to_private_networks_only(address: str) -> None:
    with pytest.raises(CannotStart):
        check_address(address)


def test_a_machine_without_a_private_address_is_told_how_to_name_one() -> None:
    with pytest.raises(CannotStart, match=r"not for the internet.\n.*--lan 192\.168\.1\.20"):
        check_address("192.0.2.2")


@pytest.mark.parametrize("address", ["192.168.1.20", "10.0.0.7", "172.16.5.5", "127.0.0.1"])
def test_an_address_of_a_private_network_is_taken(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.slow
def test_a_phone_that_trusts_the_authority_opens_the_hub(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    tls = ensure_certificate(tmp_path / "lan", HERE, now=read_clock())
    with bind(HERE, 0, used_for="a test", option="") as listener, family() as running:
        port = listener.getsockname()[1]
        start_hub(running, listener, fresh_database.environment, tls=(tls.certificate, tls.key))
        url = f"https://{HERE}:{port}/health/live"
        trusting = ssl.create_default_context(cafile=str(tls.authority))

        def is_live() -> bool:
            try:
                with urllib.request.urlopen(url, timeout=5, context=trusting) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_until(is_live)
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(url, timeout=5)


def test_the_authority_counts_for_private_addresses_only(tmp_path: Path) -> None:
    """Whoever steals it makes no site of the internet with it."""
    ensure_certificate(tmp_path, "192.168.1.20", now=NOON)
    authority = x509.load_pem_x509_certificate((tmp_path / AUTHORITY_FILE).read_bytes())

    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)

    assert constraints.critical
    permitted = {str(name.value) for name in constraints.value.permitted_subtrees or ()}
    assert "192.168.0.0/16" in permitted
    assert permitted - {"localhost"} == {one for one in permitted if "/" in one}


def test_a_phone_trusts_once_and_the_certificate_is_renewed_by_itself(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, HERE, now=NOON)
    authority, certificate = first.authority.read_bytes(), first.certificate.read_bytes()

    ensure_certificate(tmp_path, HERE, now=NOON + timedelta(days=1))
    assert first.certificate.read_bytes() == certificate
    ensure_certificate(tmp_path, "192.168.1.9", now=NOON + timedelta(days=1))  # another network
    moved = first.certificate.read_bytes()
    assert moved != certificate
    ensure_certificate(tmp_path, "192.168.1.9", now=NOON + CERTIFICATE_FOR)
    assert first.certificate.read_bytes() != moved
    assert first.authority.read_bytes() == authority


def test_an_authority_that_was_made_anew_signs_again_what_its_namesake_had_signed(
    tmp_path: Path,
) -> None:
    """Both are named after the same day; a phone that trusts the new one refused the old work."""
    tls = ensure_certificate(tmp_path, HERE, now=NOON)
    tls.authority.unlink()

    ensure_certificate(tmp_path, HERE, now=NOON)

    read = x509.load_pem_x509_certificate
    authority = read(tls.authority.read_bytes())
    certificate = read(tls.certificate.read_bytes())
    certificate.verify_directly_issued_by(authority)


@pytest.mark.parametrize("name", ["ca.key", "hub.key"])
def test_a_key_that_is_not_its_certificate_s_is_replaced_with_it(tmp_path: Path, name: str) -> None:
    """A kill between two writes leaves such a pair."""
    tls = ensure_certificate(tmp_path / "lan", HERE, now=NOON)
    ensure_certificate(tmp_path / "other", HERE, now=NOON)
    (tmp_path / "other" / name).replace(tls.key.parent / name)

    ensure_certificate(tmp_path / "lan", HERE, now=NOON)

    authority = x509.load_pem_x509_certificate(tls.authority.read_bytes())
    x509.load_pem_x509_certificate(tls.certificate.read_bytes()).verify_directly_issued_by(
        authority
    )
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    tls = ensure_certificate(tmp_path / "lan", HERE, now=NOON)

    for path in (tls.key, tls.key.parent / "ca.key"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_page_gives_the_authority_and_nothing_else(tmp_path: Path) -> None:
    tls = ensure_certificate(tmp_path, HERE, now=NOON)
    with bind(HERE, 0, used_for="a test", option="") as free:
        port = free.getsockname()[1]
    with serving_authority(tls, address=HERE, port=port, url="https://phopay.test") as url:
        page = urllib.request.urlopen(url, timeout=5).read().decode()
        file = urllib.request.urlopen(url + AUTHORITY_FILE, timeout=5).read()
        for other in ("ca.key", "../ca.key", "hub.key"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(url + other, timeout=5)

    assert file == tls.authority.read_bytes()
    assert "https://phopay.test" in page


def test_a_code_for_the_terminal_is_square() -> None:
    lines = draw_code("http://192.168.1.20:8444/")

    assert len(lines) > 10
    assert {len(line) for line in lines} == {len(lines[0])}


@pytest.mark.slow
def test_a_public_address_is_refused_before_anything_starts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "demo", "--lan", "8.8.8.8"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "private network" in done.stderr
