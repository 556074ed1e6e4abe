"""One call to a provider: its own time-out, a bounded answer, no redirect followed."""

import asyncio
from dataclasses import dataclass
from typing import Final

import httpx

from payments.rails.protocol import ResultUnknown

CALL_TIMEOUT_S: Final = 5.0  # a till waits for it
RESPONSE_BYTES_MAX: Final = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class RailResponse:
    """What came back, whatever its status."""

    status: int
    body: bytes


async def call(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: dict[str, str],
    body: bytes | None = None,
) -> RailResponse:
    """Send one request; answered whole within the time, or its result is unknown.

    Raises:
        ResultUnknown: no answer, a late one, or one that is too large.
    """
    received = bytearray()
    sent = {**headers, "Accept-Encoding": "identity"}  # a small body could unpack into gigabytes
    if body is not None:
        sent["Content-Type"] = "application/json"
    try:
        async with (
            asyncio.timeout(CALL_TIMEOUT_S),
            client.stream(
                method,
                url,
                content=body,
                headers=sent,
                timeout=CALL_TIMEOUT_S,
                follow_redirects=False,  # the keys go to this address and to no other
            ) as response,
        ):
            async for part in response.aiter_raw():
                received += part
                if len(received) > RESPONSE_BYTES_MAX:
                    raise ResultUnknown("the answer is too large")
            return RailResponse(status=response.status_code, body=bytes(received))
    except (httpx.HTTPError, TimeoutError) as error:
        raise ResultUnknown(f"no answer: {type(error).__name__}") from error
