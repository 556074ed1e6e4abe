"""Pull API of SePay: the transactions of one account, newest first.

Source: developer.sepay.vn, userapi/transactions/list. The `id` is the webhook's, and so is the
bank's reference; amounts are decimals in text ("2000.00").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.fields import HANOI_OFFSET
from payments.providers.pulling import (
    PullPage,
    PullQuery,
    PullRequest,
    PullResponse,
    open_response,
    rewrite_rows,
    write_callback,
)

ROWS_MAX: Final = 50

_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_WHOLE: Final = re.compile(r"([0-9]{1,15})(\.0{1,2})?", re.ASCII)


@dataclass(frozen=True)
class SePayPull:
    """Requests for either kind of SePay endpoint: the API token is the same."""

    def list_requests(self, query: PullQuery) -> Sequence[PullRequest]:
        """Request the newest transactions of the account."""
        since = query.since.astimezone(HANOI_OFFSET)
        return [
            PullRequest(
                path="/userapi/transactions/list",
                params={
                    "account_number": query.account_number,
                    "transaction_date_min": f"{since:%Y-%m-%d %H:%M:%S}",
                    "limit": ROWS_MAX,
                },
                headers={"Authorization": f"Bearer {query.credentials.token}"},
            )
        ]

    def read(self, response: PullResponse, request: PullRequest, query: PullQuery) -> PullPage:
        """Read the list; money out is left to the webhook."""
        bodies, unreadable = rewrite_rows(open_response(response).get("transactions"), _to_webhook)
        return PullPage(bodies=bodies, unreadable=unreadable)


def _to_webhook(row: dict[str, Any]) -> bytes | None:
    amount_vnd = _whole_dong(row.get("amount_in"))
    if amount_vnd == 0:
        return None
    its_id: Any = row.get("id")
    if type(its_id) is str and _ID.fullmatch(its_id):
        its_id = int(its_id)  # the webhook has a number
    return write_callback(
        {
            "id": its_id,
            "gateway": row.get("bank_brand_name"),
            "transactionDate": row.get("transaction_date"),
            "accountNumber": row.get("account_number"),
            "subAccount": row.get("sub_account") or None,
            "code": row.get("code"),
            "content": row.get("transaction_content"),
            "transferType": "in",
            "transferAmount": amount_vnd,
            "referenceCode": row.get("reference_number"),
            "accumulated": 0,
            "description": "",
        }
    )


def _whole_dong(text: object) -> int:
    """Read "2000.00": VND has no minor unit, so the decimals are zero."""
    if text is None:
        return 0
    if type(text) is not str or not (found := _WHOLE.fullmatch(text)):
        raise UnreadableNotice(Fault.AMOUNT, "not whole đồng in text")
    return int(found[1])
