"""The client against real sockets: pinned addresses, bounded answers, no redirects."""

import asyncio
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from payments.webhooks.addresses import Address
from payments.webhooks.client import Resolver, WebhookClient
from payments.webhooks.rules import ANSWER_BYTES_MAX, BODY_BYTES_MAX, Answer, Failure
from tests.world.certificates import Certificate, a_certificate
from tests.world.servers import a_server, answering, drip

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Names:
    """A name server that answers from a list, the last of it for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int, org_code: str) -> Sequence[Address]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ip_address(one) for one in found]


def of_nobody(*origins: str) -> list[str]:
    """Write what may be sent to where no organisation is named."""
    return [f"={one}" for one in origins]


async def post(url: str, client: WebhookClient | None = None) -> Answer:
    origin = "/".join(url.split("/")[:3])
    client = client or WebhookClient(of_nobody(origin), timeout_s=1.0)
    return await client.post(url, b"{}", {"webhook-id": "e1"})


async def test_an_answer_of_2xx_is_good_and_its_first_bytes_are_kept() -> None:
    async with a_server(answering("202 Accepted", b"x" * 10_000)) as (url, lines):
        answer = await post(f"{url}/in?a=1")
    assert answer.is_good
    assert (answer.status, len(answer.body)) == (202, ANSWER_BYTES_MAX)
    assert lines == ["POST /in?a=1 HTTP/1.1"]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_no_redirect_is_followed(status: str) -> None:
    async with (
        a_server(answering("200 OK")) as (elsewhere, lines),
        a_server(answering(status, b"", f"Location: {elsewhere}/")) as (url, _),
    ):
        origins = [url, elsewhere]
        answer = await WebhookClient(of_nobody(*origins)).post(f"{url}/", b"{}", {})
    assert (answer.status, answer.failure) == (int(status[:3]), Failure.REDIRECT)
    assert lines == []


async def test_whoever_never_ends_its_answer_is_left_after_the_time() -> None:
    async with a_server(drip) as (url, _):
        assert (await post(url)).failure is Failure.TIMED_OUT


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (b"hello\r\n\r\n", Failure.ANSWER_UNREADABLE),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, Failure.ANSWER_UNREADABLE),
        (b"", Failure.NOT_CONNECTED),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Failure.NOT_CONNECTED),
    ],
)
async def test_what_is_no_answer_is_a_failure(said: bytes, failure: Failure) -> None:
    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    async with a_server(speak) as (url, _):
        assert (await post(url)).failure is failure


async def test_a_body_that_is_too_large_is_not_sent() -> None:
    async with a_server(answering("200 OK")) as (url, lines):
        body = b"x" * (BODY_BYTES_MAX + 1)
        answer = await WebhookClient(of_nobody(url)).post(f"{url}/", body, {})
    assert (answer.failure, lines) == (Failure.BODY_TOO_LARGE, [])


async def test_a_name_is_looked_up_at_each_attempt_and_refused_where_it_leads_inside() -> None:
    names = Names(["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:127.0.0.1"])
    client = WebhookClient(resolve=names)

    answers = [await post("https://hooks.example.com/", client) for _ in range(3)]

    assert [one.failure for one in answers] == [Failure.ADDRESS_REFUSED] * 3
    assert names.asked == 3


async def test_a_name_without_addresses_is_not_found() -> None:
    answer = await post("https://hooks.example.com/", WebhookClient(resolve=Names([])))
    assert answer.failure is Failure.NAME_NOT_FOUND


async def test_a_name_that_nobody_knows_is_not_found() -> None:
    answer = await post("https://nowhere.invalid/", WebhookClient())
    assert answer.failure is Failure.NAME_NOT_FOUND


async def test_nobody_listens_where_it_is_sent() -> None:
    async with a_server(answering("200 OK")) as (url, _):
        pass
    assert (await post(url)).failure is Failure.NOT_CONNECTED


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return a_certificate("hooks.example.com", tmp_path_factory.mktemp("tls"))


async def a_tls_server(certificate: Certificate, named: list[str | None]) -> asyncio.Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    context.sni_callback = lambda _socket, name, _context: named.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        named.append(head.decode().partition("Host: ")[2].partition("\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)


@pytest.mark.parametrize(
    ("host", "failure"),
    [("hooks.example.com", None), ("other.example.com", Failure.TLS_FAILED)],
)
async def test_the_pinned_address_is_called_by_its_name_and_must_prove_it(
    certificate: Certificate, host: str, failure: Failure | None
) -> None:
    named: list[str | None] = []
    server = await a_tls_server(certificate, named)
    port = server.sockets[0].getsockname()[1]
    url = f"https://{host}:{port}"
    client = WebhookClient(
        of_nobody(url),
        resolve=Names(["127.0.0.1"]),
        tls=ssl.create_default_context(cafile=certificate.chain),
    )
    async with server:
        answer = await client.post(f"{url}/in", b"{}", {})

    assert answer.failure is failure
    assert named == [host, f"{host}:{port}"][: 2 if failure is None else 1]


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Certificate) -> None:
    server = await a_tls_server(certificate, [])
    url = f"https://hooks.example.com:{server.sockets[0].getsockname()[1]}"
    async with server:
        answer = await post(f"{url}/", WebhookClient(of_nobody(url), resolve=Names(["127.0.0.1"])))
    assert answer.failure is Failure.TLS_FAILED


async def test_a_name_server_that_hangs_holds_up_its_own_name_only(tmp_path: Path) -> None:
    class Hanging(Names):
        async def __call__(self, host: str, port: int, org_code: str) -> Sequence[Address]:
            if host.startswith("slow"):
                await asyncio.Event().wait()
            return await super().__call__(host, port, org_code)

    async with a_server(answering("200 OK")) as (url, _):
        port = url.rpartition(":")[2]
        slow, quick = f"http://slow.example:{port}", f"http://quick.example:{port}"
        client = WebhookClient(
            of_nobody(slow, quick), resolve=Hanging(["127.0.0.1"]), timeout_s=1.0
        )
        started_s = time.monotonic()
        answers = await asyncio.gather(*(client.post(one, b"", {}) for one in [slow] * 9 + [quick]))

    assert [one.failure for one in answers] == [Failure.TIMED_OUT] * 9 + [None]
    assert answers[-1].took_ms < answers[0].took_ms
    assert time.monotonic() - started_s < 60


async def test_where_the_first_address_does_not_answer_the_next_one_is_tried() -> None:
    async with a_server(answering("200 OK")) as (url, lines):
        origin = f"http://hooks.example:{url.rpartition(':')[2]}"
        names = Names(["127.0.0.2", "127.0.0.1"])  # nobody listens at the first
        answer = await WebhookClient(of_nobody(origin), resolve=names).post(
            f"{origin}/in", b"{}", {}
        )

    assert (answer.status, len(lines)) == (200, 1)


async def test_names_that_hang_hold_up_only_the_organisation_that_named_them() -> None:
    is_over = threading.Event()

    def look_up(host: str, port: int) -> Sequence[Address]:
        if host.startswith("slow"):
            is_over.wait()
        return [ip_address("127.0.0.1")]

    resolver = Resolver(threads=5, of_org_max=4, look_up=look_up)
    slow = [asyncio.create_task(resolver(f"slow{n}", 443, "HKXM")) for n in range(20)]
    await asyncio.sleep(0)

    assert await resolver("quick", 443, "HKXN") == [ip_address("127.0.0.1")]

    is_over.set()
    assert await asyncio.gather(*slow) == [[ip_address("127.0.0.1")]] * 20


def test_a_name_server_that_hangs_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, time
from payments.webhooks.client import Resolver

async def main():
    resolver = Resolver(look_up=lambda host, port: time.sleep(600))
    try:
        async with asyncio.timeout(0.1):
            await resolver("slow.example", 443, "HKXM")
    except TimeoutError:
        resolver.close()
        print("over")

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "over\n"


async def test_an_inner_address_of_one_organisation_is_sent_to_for_no_other() -> None:
    async with a_server(answering("200 OK")) as (url, lines):
        client = WebhookClient([f"HKXM={url}"])
        own = await client.post(f"{url}/", b"{}", {}, org_code="HKXM")
        others = await client.post(f"{url}/", b"{}", {}, org_code="HKXN")

    assert own.is_good
    assert (others.failure, len(lines)) == (Failure.ADDRESS_REFUSED, 1)
