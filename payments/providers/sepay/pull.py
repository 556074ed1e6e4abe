"""Pull API of SePay: the transactions of one account, newest first.

Source: developer.sepay.vn, userapi/transactions/list. The `id` is the webhook's, and so is the
bank's reference; amounts are decimals in text ("2000.00").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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
ROWS_OF_A_SECOND_MAX: Final = 1_600  # below the client's limit of a megabyte

_SECOND: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_WHOLE: Final = re.compile(r"([0-9]{1,15})(\.0{1,2})?", re.ASCII)


@dataclass(frozen=True)
class SePayPull:
    """Requests for either kind of SePay endpoint: the API token is the same.

    A window is read backwards: SePay lists the newest first and has no pages, so the next one ends
    with the second of the oldest row, which comes once more. A cursor is that second and the limit
    of rows, which grows where one second has more.
    """

    def list_requests(self, query: PullQuery) -> Sequence[PullRequest]:
        """Request the newest transactions of the account, of the window if there is one."""
        params: dict[str, str | int] = {
            "account_number": query.account_number,
            "transaction_date_min": _write_second(query.since),
            "limit": ROWS_MAX,
        }
        if query.until is not None:
            latest, limit = _read_cursor(query)
            params |= {"transaction_date_max": latest, "limit": limit}
        headers = {"Authorization": f"Bearer {query.credentials.token}"}
        return [PullRequest(path="/userapi/transactions/list", params=params, headers=headers)]

    def read(self, response: PullResponse, request: PullRequest, query: PullQuery) -> PullPage:
        """Read the list; money out is left to the webhook."""
        rows = open_response(response).get("transactions")
        limit = int(request.params["limit"])
        bodies, unreadable = rewrite_rows(rows, _to_webhook, rows_max=limit)
        next_cursor, stuck_at = None, None
        if query.until is not None and type(rows) is list and len(rows) >= limit:
            try:
                next_cursor = _find_next(rows, request)
            except UnreadableNotice as problem:  # this page's rows count all the same
                stuck_at = problem
        return PullPage(
            bodies=bodies, unreadable=unreadable, next_cursor=next_cursor, stuck_at=stuck_at
        )


def _write_second(instant: datetime) -> str:
    return f"{instant.astimezone(HANOI_OFFSET):%Y-%m-%d %H:%M:%S}"


def _read_cursor(query: PullQuery) -> tuple[str, int]:
    """Return the last second of the page, and its limit of rows."""
    assert query.until is not None
    if query.cursor is None:
        return _write_second(query.until), ROWS_MAX
    latest, _, limit = query.cursor.rpartition("/")
    return latest, int(limit)


def _find_next(rows: list[Any], request: PullRequest) -> str:
    """Return the cursor of the page before a full one.

    Raises:
        UnreadableNotice: a row has no time, or one second has more rows than a page can.
    """
    seconds = [str(row.get("transaction_date")) for row in rows if type(row) is dict]
    if len(seconds) < len(rows) or not all(map(_SECOND.fullmatch, seconds)):
        raise UnreadableNotice(Fault.TIME, "a row of a full page has no time to go on from")
    oldest = min(seconds)
    if oldest < str(request.params["transaction_date_max"]):
        return f"{oldest}/{ROWS_MAX}"
    limit = int(request.params["limit"]) * 2
    if limit > ROWS_OF_A_SECOND_MAX:
        raise UnreadableNotice(Fault.BODY, "one second has more rows than can be read")
    return f"{oldest}/{limit}"


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
