"""Asking payOS: what was paid for one of its orders. It has no list of an account's transactions.

Source: PyPI payos 1.1.0 (GET /v2/payment-requests/{orderCode}; the answer's `data` is signed like a
webhook's). `id` there is the webhook's `paymentLinkId`, and a transfer's `reference` is the same in
both: together they are the identity that providers/payos.py reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from payments.providers.errors import ProviderRefusedToken, UnreadableNotice
from payments.providers.payos.webhook import find_key
from payments.providers.pulling import (
    Answer,
    PullQuery,
    PullRequest,
    Told,
    open_response,
    rewrite_rows,
    write_callback,
)
from payments.providers.types import Fault

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
    """Questions to payOS, one for each order."""

    url: str = "https://api-merchant.payos.vn"
    needs_client_id: bool = True
    pulls_by_order: bool = True

    def ask(self, inquiry: PullQuery) -> Sequence[PullRequest]:
        """Ask about each order; an orderCode is a number, so nothing else gets into the path."""
        headers = {
            "x-client-id": inquiry.keys.client_id or "",
            "x-api-key": inquiry.keys.token,
        }
        return [
            PullRequest(path=f"/v2/payment-requests/{order}", headers=headers, order_id=order)
            for order in inquiry.order_ids
            if order.isascii() and order.isdigit()
        ]

    def read(self, answer: Answer, request: PullRequest, inquiry: PullQuery) -> Told:
        """Read an order's transfers; an order that payOS does not know tells of none."""
        if answer.status == 404:
            return Told()
        envelope = open_response(answer)
        code, data, signature = (envelope.get(name) for name in ("code", "data", "signature"))
        if code == ABSENT:
            return Told()
        if code == UNAUTHORIZED:
            raise ProviderRefusedToken
        if code != "00" or type(data) is not dict or type(signature) is not str:
            raise UnreadableNotice(Fault.BODY, "code is not 00, or no signed data")
        if find_key(data, signature, inquiry.secrets) is None:
            raise UnreadableNotice(Fault.BODY, "the checksum key has not signed this answer")
        if str(data.get("orderCode")) != request.order_id:
            raise UnreadableNotice(Fault.ORDER, "it is about another order")
        bodies, unreadable = rewrite_rows(
            data.get("transactions"), lambda row: _to_webhook(data, row)
        )
        return Told(bodies=bodies, unreadable=unreadable)


def _to_webhook(link: dict[str, Any], row: dict[str, Any]) -> bytes:
    told = {
        **{name: row.get(name) for name in COPIED},
        "orderCode": link.get("orderCode"),
        "paymentLinkId": link.get("id"),
        "currency": "VND",
        "code": "00",
        "desc": "success",
    }
    return write_callback({"code": "00", "desc": "success", "success": True, "data": told})
