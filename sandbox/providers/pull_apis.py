"""APIs that subscribers poll: SePay's /userapi and Casso's /v2/transactions.

A token speaks for the accounts of the subscriptions that carry it as `api_key`.
Sources: developer.sepay.vn (rows, filters; decimals are strings), Casso's API v2.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.bank import Line
from sandbox.errors import BadRequest, SandboxError
from sandbox.ft_numbers import VIETNAM
from sandbox.providers.casso import pull_row as casso_row
from sandbox.providers.sepay import pull_row as sepay_row
from sandbox.wire import answer_json, read_whole, world_of

ROWS_MAX: Final = 5_000
Serve = Callable[[Request], Awaitable[Response]]
AMOUNT: Final = re.compile(r"([0-9]{1,15})(?:\.00?)?")


class PullRefused(SandboxError):
    """The token is none of ours."""

    status, code = 401, "unauthorized"


async def sepay_list(request: Request) -> Response:
    """List transactions, newest first, under SePay's filters."""
    limit = read_whole(request.query_params, "limit", ROWS_MAX, upto=ROWS_MAX)
    rows = [sepay_row(line) for line in _filtered(request)][::-1][:limit]
    return answer_json(
        {"status": 200, "error": None, "messages": {"success": True}, "transactions": rows}
    )


async def sepay_count(request: Request) -> Response:
    """Count transactions under the same filters."""
    count = sum(1 for _ in _filtered(request))
    return answer_json(
        {"status": 200, "error": None, "messages": {"success": True}, "count_transactions": count}
    )


async def sepay_details(request: Request) -> Response:
    """Show one transaction by its id."""
    for line in _own_lines(request, "sepay", "Bearer"):
        if line.id == request.path_params["id"]:
            return answer_json(
                {
                    "status": 200,
                    "error": None,
                    "messages": {"success": True},
                    "transaction": sepay_row(line),
                }
            )
    return answer_json(
        {"status": 404, "error": "Not found", "messages": {"error": "Transaction not found"}}, 404
    )


async def casso_list(request: Request) -> Response:
    """List transactions in Casso's pages: `page` from 1, `pageSize` of at most 100, `fromDate`."""
    query = request.query_params
    size = read_whole(query, "pageSize", 20, upto=100) or 20
    page = read_whole(query, "page", 1, upto=10**6) or 1
    since = _instant(query.get("fromDate", ""))
    until = _instant(query.get("toDate", ""), is_end=True)
    lines = [
        line
        for line in _own_lines(request, "casso", "Apikey")
        if (since is None or line.occurred_at >= since)
        and (until is None or line.occurred_at <= until)
    ]
    if query.get("sort", "ASC").upper() == "DESC":
        lines.reverse()
    data = {
        "page": page,
        "pageSize": size,
        "totalRecords": len(lines),
        "totalPages": -(-len(lines) // size),
        "records": [casso_row(line) for line in lines[(page - 1) * size : page * size]],
    }
    return answer_json({"error": 0, "message": "success", "data": data})


def _own_lines(request: Request, provider: str, scheme: str) -> list[Line]:
    world = world_of(request)
    given = request.headers.get("authorization", "")
    accounts = [
        key
        for subscription in world.subscriptions.values()
        if subscription.provider.startswith(provider)
        and given == f"{scheme} {subscription.api_key}"
        for key in subscription.accounts
    ]
    if not accounts:
        raise PullRefused("The token is not valid.")
    return world.bank.lines_of(accounts)


def _filtered(request: Request) -> Iterator[Line]:
    query = request.query_params
    since_id = read_whole(query, "since_id", 0, upto=10**18)
    since = _instant(query.get("transaction_date_min", ""))
    until = _instant(query.get("transaction_date_max", ""), is_end=True)
    wanted = {name: _amount(query.get(name, "")) for name in ("amount_in", "amount_out")}
    for line in _own_lines(request, "sepay", "Bearer"):
        amounts = {f"amount_{line.direction}": line.amount_vnd}
        if (
            line.id >= since_id
            and query.get("account_number", line.number) == line.number
            and query.get("reference_number", line.reference) == line.reference
            and (since is None or line.occurred_at >= since)
            and (until is None or line.occurred_at <= until)
            and all(vnd is None or amounts.get(name, 0) == vnd for name, vnd in wanted.items())
        ):
            yield line


def _instant(text: str, *, is_end: bool = False) -> datetime | None:
    """Read "2025-02-01" or "2025-02-01 13:45:00" as Việt Nam's time; an end includes its unit."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"{text!r} is no date.") from error
    if is_end:
        is_day = len(text) == len("2025-02-01")
        at = at.replace(hour=23, minute=59, second=59) if is_day else at
        at = at.replace(microsecond=999_999)
    return at if at.tzinfo else at.replace(tzinfo=VIETNAM)


def _amount(text: str) -> int | None:
    if not text:
        return None
    if not (found := AMOUNT.fullmatch(text)):
        raise BadRequest(f"{text!r} is no amount.")
    return int(found[1])


def _with_faults(serve: Serve) -> Serve:
    """Let a list go wrong as the profile of its token's subscription says."""

    async def serve_with_faults(request: Request) -> Response:
        world = world_of(request)
        token = request.headers.get("authorization", "").partition(" ")[2]
        profiles = [
            world.subscription_faults[one.id]
            for one in world.subscriptions.values()
            if one.api_key == token and one.id in world.subscription_faults
        ]
        if not profiles or profiles[0].pull_calls_left == 0:
            return await serve(request)
        profile = profiles[0]
        if profile.pull_calls_left is not None:
            profile.pull_calls_left -= 1
        await asyncio.sleep(profile.pull_slow_ms / 1_000)
        if profile.pull_fault == "error":
            return Response(status_code=500)
        if profile.pull_fault == "too_many":
            seconds = profile.pull_retry_after_s
            headers = {"x-sepay-userapi-retry-after": str(seconds)} if seconds else {}
            return Response(status_code=429, headers=headers)
        return await serve(request)

    return serve_with_faults


ROUTES: Final = [
    Route("/userapi/transactions/list", _with_faults(sepay_list)),
    Route("/userapi/transactions/count", sepay_count),
    Route("/userapi/transactions/details/{id:int}", sepay_details),
    Route("/v2/transactions", _with_faults(casso_list)),
]
