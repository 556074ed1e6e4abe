"""Asking Casso: all transactions that its key speaks for, newest first, in pages.

Source: developer.casso.vn, "API lấy giao dịch" (GET /v2/transactions). The `id` is Casso's own for
a transaction, in the webhook as here, and `tid` is what the webhook calls `reference`, the bank's.
Some banks tell a day and no time: `when` is then a date, or its midnight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from payments.providers.errors import ProviderRefusedToken, UnreadableNotice
from payments.providers.fields import HANOI_OFFSET
from payments.providers.pulling import (
    REFUSED,
    ROWS_MAX,
    Answer,
    PullQuery,
    PullRequest,
    Told,
    open_response,
    rewrite_rows,
    write_callback,
)
from payments.providers.types import Fault

PAGES_MAX: Final = 3  # a key may speak for a whole market

_MIDNIGHTS: Final = ("T00:00:00", " 00:00:00")


@dataclass(frozen=True)
class CassoPull:
    """Questions to Casso. Nothing narrows them to one account: the rows are sorted out here."""

    url: str = "https://oauth.casso.vn"
    needs_client_id: bool = False
    pulls_by_order: bool = False

    def ask(self, inquiry: PullQuery) -> Sequence[PullRequest]:
        """Ask for the first page. Days alone can be named, so more may come than was wanted."""
        since = inquiry.since.astimezone(HANOI_OFFSET)
        return [
            PullRequest(
                path="/v2/transactions",
                params={
                    "fromDate": f"{since:%Y-%m-%d}",
                    "sort": "DESC",
                    "pageSize": ROWS_MAX,
                    "page": 1,
                },
                headers={"Authorization": f"Apikey {inquiry.keys.token}"},
            )
        ]

    def read(self, answer: Answer, request: PullRequest, inquiry: PullQuery) -> Told:
        """Read a page, and ask for the next while pages are full."""
        envelope = open_response(answer)
        if (error := envelope.get("error")) != 0:
            if type(error) is int and error in REFUSED:
                raise ProviderRefusedToken
            raise UnreadableNotice(Fault.STATUS, "error is not 0")
        data = envelope.get("data")
        records = data.get("records") if type(data) is dict else None
        bodies, unreadable = rewrite_rows(records, _to_webhook)
        page = int(request.params["page"])
        is_full = type(records) is list and len(records) >= ROWS_MAX
        more = None
        if is_full and page < PAGES_MAX:
            more = replace(request, params={**request.params, "page": page + 1})
        return Told(bodies=bodies, unreadable=unreadable, more=more)


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
