"""Pull API of Casso: all transactions that its key speaks for, newest first, in pages.

Source: developer.casso.vn, "API lấy giao dịch" (GET /v2/transactions). The `id` is Casso's own for
a transaction, in the webhook as here, and `tid` is what the webhook calls `reference`, the bank's.
Some banks give a day and no time: `when` is then a date, or its midnight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from payments.providers.errors import Fault, ProviderRefusedToken, UnreadableNotice
from payments.providers.fields import HANOI_OFFSET
from payments.providers.pulling import (
    REFUSED,
    ROWS_MAX,
    PullPage,
    PullQuery,
    PullRequest,
    PullResponse,
    open_response,
    rewrite_rows,
    write_callback,
)

PAGES_MAX: Final = 3  # a key may speak for a whole market

_MIDNIGHTS: Final = ("T00:00:00", " 00:00:00")


@dataclass(frozen=True)
class CassoPull:
    """Requests for all accounts of a key; the client keeps the rows of the one in question."""

    def list_requests(self, query: PullQuery) -> Sequence[PullRequest]:
        """Request the first page. Only whole days can be named, so older rows may come too.

        A window is read from its oldest row on: what comes meanwhile moves no page. A cursor is
        the number of a page.
        """
        params: dict[str, str | int] = {
            "fromDate": _write_day(query.since),
            "sort": "DESC",
            "pageSize": ROWS_MAX,
            "page": 1,
        }
        if query.until is not None:
            params |= {
                "toDate": _write_day(query.until),
                "sort": "ASC",
                "page": 1 if query.cursor is None else int(query.cursor),
            }
        headers = {"Authorization": f"Apikey {query.credentials.token}"}
        return [PullRequest(path="/v2/transactions", params=params, headers=headers)]

    def read(self, response: PullResponse, request: PullRequest, query: PullQuery) -> PullPage:
        """Read a page, and request the next while pages are full."""
        envelope = open_response(response)
        if (error := envelope.get("error")) != 0:
            if type(error) is int and error in REFUSED:
                raise ProviderRefusedToken
            raise UnreadableNotice(Fault.STATUS, "error is not 0")
        data = envelope.get("data")
        records = data.get("records") if type(data) is dict else None
        bodies, unreadable = rewrite_rows(records, _to_webhook)
        page = int(request.params["page"])
        is_full = type(records) is list and len(records) >= ROWS_MAX
        next_request = next_cursor = None
        if is_full and query.until is not None:
            next_cursor = str(page + 1)
        elif is_full and page < PAGES_MAX:
            next_request = replace(request, params={**request.params, "page": page + 1})
        return PullPage(
            bodies=bodies,
            unreadable=unreadable,
            next_request=next_request,
            next_cursor=next_cursor,
        )


def _write_day(instant: datetime) -> str:
    return f"{instant.astimezone(HANOI_OFFSET):%Y-%m-%d}"


def _to_webhook(row: dict[str, Any]) -> bytes:
    when = row.get("when")
    if type(when) is str and when.endswith(_MIDNIGHTS):
        when = when[: -len(_MIDNIGHTS[0])]
    return write_callback(
        {
            "error": 0,
            "data": {
                "id": row.get("id"),
                "reference": row.get("tid"),
                "description": row.get("description"),
                "amount": row.get("amount"),
                "transactionDateTime": when,
                "accountNumber": row.get("bankSubAccId") or row.get("subAccId"),
                "bankName": row.get("bankName"),
                "bankAbbreviation": row.get("bankAbbreviation"),
                "virtualAccountNumber": row.get("virtualAccount"),
                "counterAccountName": row.get("corresponsiveName"),
                "counterAccountNumber": row.get("corresponsiveAccount"),
                "counterAccountBankId": row.get("corresponsiveBankId"),
                "counterAccountBankName": row.get("corresponsiveBankName"),
            },
        }
    )
