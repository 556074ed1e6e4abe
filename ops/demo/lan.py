"""The demo on a local network: its own authority and certificate, for phones.

Browsers let a page use the camera, or work without network, on HTTPS alone.

The authority stays in the demo's folder. What it signs counts for addresses of private networks
only, whoever gets hold of it.
"""

import functools
import http.server
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Final

import qrcode
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ops.environment import write_private
from ops.errors import CannotStart
from ops.serving import bind

ADDRESS = ipaddress.IPv4Address
AUTHORITY_FOR: Final = timedelta(days=365)
CERTIFICATE_FOR: Final = timedelta(days=90)  # browsers refuse more than 825 days
RENEWED_BEFORE: Final = timedelta(days=7)
CLOCKS_DIFFER: Final = timedelta(hours=1)
PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8")
AUTHORITY_NAME: Final = "PhoPay demo"
AUTHORITY_FILE: Final = "phopay-demo-ca.crt"
PAGE: Final = """<!doctype html><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>PhoPay</title>
<style>body{{font:18px/1.5 sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}}
a{{display:block;padding:1rem;margin:1rem 0;border:2px solid;border-radius:.5rem}}</style>
<h1>PhoPay</h1>
<p>1. Tải và cài chứng chỉ của bản dùng thử này. iPhone: sau khi cài, bật tin cậy trong Cài đặt →
Cài đặt chung → Giới thiệu → Cài đặt tin cậy chứng nhận.<br>
<small>Install this demo's certificate. On an iPhone, then turn on full trust for it.</small></p>
<a href="/{file}">{file}</a>
<p>2. Mở PhoPay. <small>Open PhoPay.</small></p>
<a href="{url}">{url}</a>
<p><small>Xong việc, hãy gỡ chứng chỉ. Remove the certificate when you are done.</small></p>
"""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Files of a certificate that the hub serves with."""

    certificate: Path
    key: Path
    authority: Path  # what a phone has to trust


def find_address() -> str:
    """Return this machine's address in the local network.

    Raises:
        CannotStart: it has none of a private network.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: nothing is sent
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    return check_address(address)


def check_address(text: str) -> str:
    """Return an address of a private network as it was given.

    Raises:
        CannotStart: it is no such address.
    """
    try:
        address = ADDRESS(text)
    except ValueError:
        raise CannotStart(f"{text!r} is no IPv4 address such as 192.168.1.20.") from None
    if not any(address in ipaddress.IPv4Network(network) for network in PRIVATE):
        raise CannotStart(
            f"{text} is not an address of a private network: the demo is not for the internet.\n"
            "Name one that this machine has there, such as --lan 192.168.1.20."
        )
    return text


def ensure_certificate(folder: Path, address: str, *, now: datetime) -> Tls:
    """Return a certificate for an address, made or renewed where it is needed.

    The authority stays the same as long as it holds, so that a phone trusts it once.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority_key, authority = _ensure_authority(folder, now)
    tls = Tls(
        certificate=folder / "hub.crt", key=folder / "hub.key", authority=folder / AUTHORITY_FILE
    )
    if _covers(tls, address, authority, now):
        return tls
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(ADDRESS(one)) for one in dict.fromkeys((address, "127.0.0.1"))]
    certificate = (
        _begin(address, key.public_key(), authority.subject, now, CERTIFICATE_FOR)
        .add_extension(x509.SubjectAlternativeName([*names, x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(tls.key, _write_key(key))
    write_private(tls.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return tls


@contextmanager
def serving_authority(tls: Tls, *, address: str, port: int, url: str) -> Iterator[str]:
    """Serve the authority and how to trust it, in clear: a phone needs it before HTTPS works.

    Yields:
        The address for the phone.
    """
    page = PAGE.format(file=AUTHORITY_FILE, url=url).encode()
    answers = {
        "/": ("text/html; charset=utf-8", page),
        f"/{AUTHORITY_FILE}": ("application/x-x509-ca-cert", tls.authority.read_bytes()),
    }
    bind(address, port, used_for="the certificate's page", option="--lan-port").close()
    server = http.server.ThreadingHTTPServer(
        (address, port), functools.partial(_AuthorityPage, answers)
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{address}:{port}/"
    finally:
        server.shutdown()
        server.server_close()


def draw_code(text: str) -> list[str]:
    """Draw a QR code for a terminal, a line for each two rows of it."""
    code = qrcode.QRCode(border=2)
    code.add_data(text)
    code.make(fit=True)
    drawn = StringIO()
    code.print_ascii(out=drawn, invert=True)
    return drawn.getvalue().rstrip("\n").split("\n")


class _AuthorityPage(http.server.BaseHTTPRequestHandler):
    """Two files, and nothing else."""

    def __init__(self, answers: dict[str, tuple[str, bytes]], *args: object) -> None:
        self._answers = answers
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        found = self._answers.get(self.path)
        if found is None:
            self.send_error(404)
            return
        kind, body = found
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is the demo's."""


def _ensure_authority(
    folder: Path, now: datetime
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, file = folder / "ca.key", folder / AUTHORITY_FILE
    if key_file.exists() and file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        authority = x509.load_pem_x509_certificate(file.read_bytes())
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        is_a_pair = key.public_key() == authority.public_key()  # a kill may part two writes
        if is_a_pair and now + CERTIFICATE_FOR < authority.not_valid_after_utc:
            return key, authority
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"{AUTHORITY_NAME} {now:%Y-%m-%d}"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    permitted = [x509.IPAddress(ipaddress.IPv4Network(network)) for network in PRIVATE]
    authority = (
        _begin(name, key.public_key(), subject, now, AUTHORITY_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.NameConstraints([*permitted, x509.DNSName("localhost")], None), critical=True
        )
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(key_file, _write_key(key))
    write_private(file, authority.public_bytes(serialization.Encoding.PEM))
    return key, authority


_SIGNS_CERTIFICATES: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _begin(
    name: str,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    now: datetime,
    valid_for: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + valid_for)
    )


def _covers(tls: Tls, address: str, authority: x509.Certificate, now: datetime) -> bool:
    """Whether what is there can be served: for this address, in time, signed by the authority.

    Its key decides, not its name: an authority made anew on the same day is named alike.
    """
    if not (tls.certificate.exists() and tls.key.exists()):
        return False
    known = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    names = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    is_for_it = ADDRESS(address) in names.get_values_for_type(x509.IPAddress)
    key = serialization.load_pem_private_key(tls.key.read_bytes(), password=None)
    is_a_pair = key.public_key() == known.public_key()
    is_current = now + RENEWED_BEFORE < known.not_valid_after_utc
    return is_for_it and is_a_pair and is_current and _is_signed_by(known, authority)


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):  # another name, kind of key, or key
        return False
    return True


def _write_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def welcome(phone_url: str, url: str) -> list[str]:
    """Write the lines that lead a phone here."""
    return [
        "On a phone in the same network, first open this page, then PhoPay:",
        f"  {phone_url}",
        f"  {url}",
        *draw_code(phone_url),
        "To let it work at a gate, sign in on this machine as quanly.dxe, open",
        f"  {url}/manage/devices",
        "and show a code there; the phone scans it (docs/devices.md).",
    ]
