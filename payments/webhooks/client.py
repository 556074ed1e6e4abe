"""The client that posts deliveries: pinned addresses, no redirects, bounded in time and size.

One connection for each attempt. Its name is resolved once, all that it resolves to must be public,
and the connection goes to one of these addresses: a name that changes between the look and the
connection (DNS rebinding) changes nothing. Whatever happens is an Answer, never an exception.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from ipaddress import ip_address
from socket import AF_UNSPEC, SOCK_STREAM, gaierror, getaddrinfo
from typing import Final

import httptools
import httpx

from payments.webhooks.addresses import Address, Destination, is_public, read_destination
from payments.webhooks.errors import BadWebhookUrl
from payments.webhooks.rules import ANSWER_BYTES_MAX, BODY_BYTES_MAX, Answer, Failure, classify

TIMEOUT_S: Final = 15.0  # for everything; standard-webhooks/spec recommends 15 to 30
CONNECT_TIMEOUT_S: Final = 5.0  # of that: the name, the connection and TLS
CLOSE_TIMEOUT_S: Final = 1.0
READ_BYTES: Final = 8_192
HEAD_BYTES_MAX: Final = 32_768
USER_AGENT: Final = "PhoPay-Webhooks/1"
# A resolver waits for as long as the system lets it, in a thread; each name has one of them.
RESOLVING_THREADS: Final = 32

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class Resolver:
    """Resolves names in threads of its own, each name once at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVING_THREADS, thread_name_prefix="webhook-dns")
        self._under_way: dict[tuple[str, int], asyncio.Future[Sequence[Address]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Return all addresses of a name.

        Raises:
            OSError: it has none, or nobody answers.
        """
        key = (host, port)
        if key not in self._under_way:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, _look_up, host, port)
            self._under_way[key] = future
            future.add_done_callback(lambda _: self._under_way.pop(key, None))
        # Who has waited long enough goes; the look-up goes on for the others.
        return await asyncio.shield(self._under_way[key])

    def close(self) -> None:
        """Start nothing new; what hangs ends with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class WebhookClient:
    """Posts bodies to addresses that organisations typed.

    Args:
        allowed_origins: where else than to public hosts by https on port 443 may be sent.
        resolve: returns the addresses of a name.
        tls: whose certificates are accepted.
    """

    def __init__(
        self,
        allowed_origins: Collection[str] = (),
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._allowed_origins = frozenset(allowed_origins)
        self._own_resolver = Resolver() if resolve is None else None
        self._resolve: Resolve = resolve or self._own_resolver  # type: ignore[assignment]
        self._tls = tls or _read_authorities()
        self._timeout_s = timeout_s

    def close(self) -> None:
        """Give the resolver's threads back."""
        if self._own_resolver is not None:
            self._own_resolver.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body once; return what answered, in at most TIMEOUT_S."""
        started_s = time.monotonic()
        status, retry_after, got = None, None, b""
        failure: Failure | None
        if len(body) > BODY_BYTES_MAX:
            return Answer(failure=Failure.BODY_TOO_LARGE)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._exchange(url, body, headers)
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

    async def _exchange(self, url: str, body: bytes, headers: Mapping[str, str]) -> "_Response":
        to = read_destination(url, self._allowed_origins)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            address = await self._find_address(to)
            reader, writer = await asyncio.open_connection(
                str(address),
                to.port,
                ssl=self._tls if to.is_tls else None,
                # Whom the certificate must name, and SNI: the host, whatever its address is.
                server_hostname=to.host if to.is_tls else None,
            )
        try:
            writer.write(_write_request(to, body, headers))
            response = _Response()
            await asyncio.gather(_drain(writer), response.read(reader))
            return response
        finally:
            # Nothing that is still in the way is worth waiting for.
            writer.transport.abort()

    async def _find_address(self, to: Destination) -> Address:
        """Return the address to connect to.

        Raises:
            _Failed: there is none, or one of them is not public.
        """
        try:
            found: Sequence[Address] = [ip_address(to.host)]
        except ValueError:
            try:
                found = await self._resolve(to.host, to.port)
            except (OSError, UnicodeError):
                raise _Failed(Failure.NAME_NOT_FOUND) from None
        if not found:
            raise _Failed(Failure.NAME_NOT_FOUND)
        if not to.is_allowed and not all(map(is_public, found)):
            raise _Failed(Failure.ADDRESS_REFUSED)
        return found[0]


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


def _look_up(host: str, port: int) -> Sequence[Address]:
    try:
        found = getaddrinfo(host, port, AF_UNSPEC, SOCK_STREAM)
    except gaierror as error:
        raise OSError(str(error)) from error
    # An IPv6 address may have a zone: "fe80::1%eth0".
    return list(dict.fromkeys(ip_address(str(one[4][0])) for one in found))


@cache  # reading them takes 25 ms
def _read_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()
