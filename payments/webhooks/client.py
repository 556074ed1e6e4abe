"""The client that posts deliveries: pinned addresses, no redirects, bounded in time and size.

One connection for each attempt. Its name is resolved once, all that it resolves to must be public,
and the connection goes to one of these addresses: a name that changes between the look and the
connection (DNS rebinding) changes nothing. Whatever happens is an Answer, never an exception.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from socket import AF_UNSPEC, SOCK_STREAM, getaddrinfo
from threading import Thread
from typing import Final
from weakref import WeakValueDictionary

import httptools
import httpx

from payments.webhooks.addresses import (
    Address,
    Destination,
    is_public,
    list_origins,
    read_destination,
)
from payments.webhooks.errors import BadWebhookUrl
from payments.webhooks.rules import ANSWER_BYTES_MAX, BODY_BYTES_MAX, Answer, Failure, classify

TIMEOUT_S: Final = 15.0  # for everything; standard-webhooks/spec recommends 15 to 30
CONNECT_TIMEOUT_S: Final = 5.0  # of that: the name, the connection and TLS
CLOSE_TIMEOUT_S: Final = 1.0
READ_BYTES: Final = 8_192
HEAD_BYTES_MAX: Final = 32_768
USER_AGENT: Final = "PhoPay-Webhooks/1"
ADDRESSES_MAX: Final = 3  # of one name that are tried, each with its share of the time
# A look-up waits for as long as the system lets it, in a thread; each name has one of them, and an
# organisation a few: names that hang hold up only those who typed them.
RESOLVING_THREADS: Final = 64
RESOLVING_OF_ORG_MAX: Final = 4

Resolve = Callable[[str, int, str], Awaitable[Sequence[Address]]]


def look_up(host: str, port: int) -> Sequence[Address]:
    """Return all addresses of a name; waits as long as the system does.

    Raises:
        OSError: it has none, or nobody answers.
    """
    found = getaddrinfo(host, port, AF_UNSPEC, SOCK_STREAM)
    # An IPv6 address may have a zone: "fe80::1%eth0".
    return list(dict.fromkeys(ip_address(str(one[4][0])) for one in found))


class Resolver:
    """Resolves names in threads of its own, each name once at a time."""

    def __init__(
        self,
        *,
        threads: int = RESOLVING_THREADS,
        of_org_max: int = RESOLVING_OF_ORG_MAX,
        look_up: Callable[[str, int], Sequence[Address]] = look_up,
    ) -> None:
        self._places = asyncio.Semaphore(threads)
        self._of_org_max = of_org_max
        self._of_org: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._look_up = look_up
        self._under_way: dict[tuple[str, int], asyncio.Task[Sequence[Address]]] = {}

    async def __call__(self, host: str, port: int, org_code: str) -> Sequence[Address]:
        """Return all addresses of a name.

        Args:
            org_code: who named it.

        Raises:
            OSError: it has none, or nobody answers.
        """
        key = (host, port)
        if key not in self._under_way:
            task = asyncio.create_task(self._resolve(host, port, org_code))
            self._under_way[key] = task
            task.add_done_callback(lambda ended: self._forget(key, ended))
        # Who has waited long enough goes; the look-up goes on for the others.
        return await asyncio.shield(self._under_way[key])

    def close(self) -> None:
        """Wait for nothing more; threads that hang end with the process."""
        for task in self._under_way.values():
            task.cancel()

    def _forget(self, key: tuple[str, int], ended: asyncio.Task[Sequence[Address]]) -> None:
        self._under_way.pop(key, None)
        if not ended.cancelled():
            ended.exception()  # nobody may be waiting for it any more

    async def _resolve(self, host: str, port: int, org_code: str) -> Sequence[Address]:
        of_org = self._of_org.get(org_code)
        if of_org is None:
            of_org = self._of_org[org_code] = asyncio.Semaphore(self._of_org_max)
        async with of_org, self._places:
            return await _run_in_daemon(lambda: self._look_up(host, port))


class WebhookClient:
    """Posts bodies to addresses that organisations typed.

    Args:
        webhook_origins: PHOPAY_WEBHOOK_ORIGINS, each `CODE=origin`.
        resolve: returns the addresses of a name.
        tls: whose certificates are accepted.
    """

    def __init__(
        self,
        webhook_origins: Collection[str] = (),
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._webhook_origins = frozenset(webhook_origins)
        self._own_resolver = Resolver() if resolve is None else None
        self._resolve: Resolve = resolve or self._own_resolver  # type: ignore[assignment]
        self._tls = tls or _read_authorities()
        self._timeout_s = timeout_s

    def close(self) -> None:
        """Wait for no look-up any more."""
        if self._own_resolver is not None:
            self._own_resolver.close()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, org_code: str = ""
    ) -> Answer:
        """Post a body once; return what answered, in at most TIMEOUT_S.

        Args:
            org_code: whose address it is.
        """
        started_s = time.monotonic()
        status, retry_after, got = None, None, b""
        failure: Failure | None
        if len(body) > BODY_BYTES_MAX:
            return Answer(failure=Failure.BODY_TOO_LARGE)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._exchange(url, body, headers, org_code)
            status, retry_after, got = response.status, response.retry_after, bytes(response.body)
            failure = classify(status)
        except BadWebhookUrl:
            failure = Failure.ADDRESS_REFUSED  # what the operator allowed before, perhaps
        except _Failed as problem:
            failure = problem.failure
        except TimeoutError:
            failure = Failure.TIMED_OUT
        except ssl.SSLError:
            failure = Failure.TLS_FAILED
        except (OSError, EOFError):
            failure = Failure.NOT_CONNECTED
        except (httptools.HttpParserError, ValueError):
            failure = Failure.ANSWER_UNREADABLE
        took_ms = int((time.monotonic() - started_s) * 1_000)
        return Answer(
            status=status, failure=failure, retry_after=retry_after, took_ms=took_ms, body=got
        )

    async def _exchange(
        self, url: str, body: bytes, headers: Mapping[str, str], org_code: str
    ) -> "_Response":
        to = read_destination(url, list_origins(self._webhook_origins, org_code))
        ends_s = time.monotonic() + CONNECT_TIMEOUT_S
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            addresses = await self._find_addresses(to, org_code)
            reader, writer = await self._connect(to, addresses, ends_s)
        try:
            writer.write(_write_request(to, body, headers))
            response = _Response()
            await asyncio.gather(_drain(writer), response.read(reader))
            return response
        finally:
            # Nothing that is still in the way is worth waiting for.
            writer.transport.abort()

    async def _connect(
        self, to: Destination, addresses: Sequence[Address], ends_s: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first address that lets us; all of them were looked at.

        Raises:
            OSError, TimeoutError: what the last one said.
        """
        for left in range(len(addresses), 0, -1):
            try:
                async with asyncio.timeout((ends_s - time.monotonic()) / left):
                    return await asyncio.open_connection(
                        str(addresses[-left]),
                        to.port,
                        ssl=self._tls if to.is_tls else None,
                        # Whom the certificate must name, and SNI: the host, whatever its address.
                        server_hostname=to.host if to.is_tls else None,
                    )
            except OSError as error:  # a TimeoutError is one, too
                if left == 1 or isinstance(error, ssl.SSLError):
                    raise
        raise _Failed(Failure.NOT_CONNECTED)

    async def _find_addresses(self, to: Destination, org_code: str) -> Sequence[Address]:
        """Return the addresses to connect to, the first of each family first.

        Raises:
            _Failed: there is none, or one of them is not public.
        """
        try:
            found: Sequence[Address] = [ip_address(to.host)]
        except ValueError:
            try:
                found = await self._resolve(to.host, to.port, org_code)
            except (OSError, UnicodeError):
                raise _Failed(Failure.NAME_NOT_FOUND) from None
        if not found:
            raise _Failed(Failure.NAME_NOT_FOUND)
        if not to.is_allowed and not all(map(is_public, found)):
            raise _Failed(Failure.ADDRESS_REFUSED)
        others = [one for one in found if one.version != found[0].version]
        return list(dict.fromkeys([found[0], *others[:1], *found]))[:ADDRESSES_MAX]


class _Failed(Exception):
    """An attempt that ends before an answer, for a known reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


class _Response:
    """What is kept of an answer: status, Retry-After, and the first bytes of its body."""

    def __init__(self) -> None:
        self.retry_after: str | None = None
        self.body = bytearray()
        self._is_complete = False
        self._parser = httptools.HttpResponseParser(self)
        self._is_in_body = False

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return int(self._parser.get_status_code())

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Read until the answer is complete or enough of its body is there.

        Raises:
            HttpParserError, EOFError, _Failed: it is no answer, or its head is too long.
        """
        head_bytes = 0
        while not self._is_complete and len(self.body) < ANSWER_BYTES_MAX:
            part = await reader.read(READ_BYTES)
            if not part:
                if self._is_in_body:  # a length that was promised is not our matter
                    return
                raise EOFError
            self._parser.feed_data(part)
            head_bytes += 0 if self._is_in_body else len(part)
            if head_bytes > HEAD_BYTES_MAX:
                raise _Failed(Failure.ANSWER_UNREADABLE)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = value[:64].decode("latin-1")

    def on_headers_complete(self) -> None:
        self._is_in_body = self.status >= 200  # 1xx: the answer proper is still to come

    def on_body(self, part: bytes) -> None:
        self.body += part[: ANSWER_BYTES_MAX - len(self.body)]

    def on_message_complete(self) -> None:
        self._is_complete = self._is_in_body


async def _drain(writer: asyncio.StreamWriter) -> None:
    """Wait until the request is on its way; who answers and closes before that has answered."""
    try:
        await writer.drain()
    except ConnectionError:
        return


def _write_request(to: Destination, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {to.path} HTTP/1.1",
        f"Host: {to.authority}",
        f"User-Agent: {USER_AGENT}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Accept-Encoding: identity",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("ascii") + body


async def _run_in_daemon(call: Callable[[], Sequence[Address]]) -> Sequence[Address]:
    """Run a call in a thread that does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Sequence[Address]] = loop.create_future()

    def settle(result: Sequence[Address], error: Exception | None) -> None:
        if future.done():  # nobody waits any more
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result: Sequence[Address] = ()
        problem = None
        try:
            result = call()
        except Exception as error:  # handed on
            problem = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, problem)

    Thread(target=run, name="webhook-dns", daemon=True).start()
    return await future


@cache  # reading them takes 25 ms
def _read_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()
