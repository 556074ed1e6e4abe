"""People of a market at the hub's pages: let in, forms sent, words read."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import httpx

from tests.world.markets import Market

PEOPLE = ("manager", "finance", "approver", "cashier")


async def let_in(market: Market, role: str, login: str | None = None) -> httpx.AsyncClient:
    """Return the browser of somebody of the market, which asks for pages."""
    payee_id = market.stall.payee_id if role in ("cashier", "vendor_owner") else None
    return as_reader(await market.staff(login or f"{role}.hkxm", role, payee_id=payee_id))


def as_reader(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Let a client ask for pages, in Vietnamese; pages are not in the OpenAPI it is held to."""
    client.headers.update({"Accept": "text/html", "Accept-Language": "vi"})
    client.event_hooks = {"request": [], "response": []}
    return client


async def submit(
    client: httpx.AsyncClient, path: str, form: Mapping[str, Any] | None = None
) -> tuple[str, httpx.Response]:
    """Send a form and follow it to the next page; returns (that page's path, its answer)."""
    answer = await client.post(path, data=dict(form or {}))
    assert answer.status_code == 303, f"{answer.status_code} {text_of(answer)}"
    where = answer.headers["location"]
    return where.partition("?")[0], await client.get(where)


def text_of(answer: httpx.Response) -> str:
    """Return a page's words as one line, without its markup."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", answer.text, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ").split())
