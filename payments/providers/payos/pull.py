"""Pull API of payOS: what was paid for one of its orders. It has no list by account.

Source: PyPI payos 1.1.0 (GET /v2/payment-requests/{orderCode}; the answer's `data` is signed like a
webhook's). `id` there is the webhook's `paymentLinkId`, and a transfer's `reference` is the same in
both: together they are the identity that the webhook adapter reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from payments.providers.errors import Fault, ProviderRefusedToken, UnreadableNotice
from payments.providers.payos.webhook import find_key
from payments.providers.pulling import (
    PullPage,
    PullQuery,
    PullRequest,
    PullResponse,
    open_response,
    rewrite_rows,
    write_callback,
)

# payOS's own codes, under whatever HTTP status: no such order; not known to it.
ABSENT, UNAUTHORIZED = "101", "401"
COPIED: Final = (
    "accountNumber",
    "amount",
    "counterAccountBankId",
    "counterAccountBankName",
    "counterAccountName",
    "counterAccountNumber",
    "description",
    "reference",
    "transactionDateTime",
    "virtualAccountName",
    "virtualAccountNumber",
)


@dataclass(frozen=True)
class PayOSPull:
    """Requests for payOS's orders, one each."""

    def list_requests(self, query: PullQuery) -> Sequence[PullRequest]:
        """Request each order; an orderCode is a number, so nothing else gets into the path."""
        headers = {
            "x-client-id": query.credentials.client_id or "",
            "x-api-key": query.credentials.token,
        }
        return [
            PullRequest(path=f"/v2/payment-requests/{order}", headers=headers, order_id=order)
            for order in query.order_ids
            if order.isascii() and order.isdigit()
        ]

    def read(self, response: PullResponse, request: PullRequest, query: PullQuery) -> PullPage:
        """Read an order's transfers; an order that payOS does not know has none."""
        if response.status == 404:
            return PullPage()
        envelope = open_response(response)
        code, data, signature = (envelope.get(name) for name in ("code", "data", "signature"))
        if code == ABSENT:
            return PullPage()
        if code == UNAUTHORIZED:
            raise ProviderRefusedToken
        if code != "00" or type(data) is not dict or type(signature) is not str:
            raise UnreadableNotice(Fault.BODY, "code is not 00, or no signed data")
        if find_key(data, signature, query.secrets) is None:
            raise UnreadableNotice(Fault.BODY, "the checksum key has not signed this answer")
        if str(data.get("orderCode")) != request.order_id:
            raise UnreadableNotice(Fault.ORDER, "it is about another order")
        bodies, unreadable = rewrite_rows(
            data.get("transactions"), lambda row: _to_webhook(data, row)
        )
        return PullPage(bodies=bodies, unreadable=unreadable)


def _to_webhook(link: dict[str, Any], row: dict[str, Any]) -> bytes:
    webhook = {
        **{name: row.get(name) for name in COPIED},
        "orderCode": link.get("orderCode"),
        "paymentLinkId": link.get("id"),
        "currency": "VND",
        "code": "00",
        "desc": "success",
    }
    return write_callback({"code": "00", "desc": "success", "success": True, "data": webhook})
