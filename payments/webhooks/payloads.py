"""Bodies of outgoing webhooks: what of an event is shown to programs outside. Pure.

Named fields only: what a screen needs tomorrow does not leave by itself. A plate is masked where
the event was written; in words of a payer it is masked here, and so are numbers of accounts.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from core.masking import mask_accounts, mask_plates
from payments.webhooks.rules import find_type
from payments.webhooks.types import SentEvent

_BILL: Final = (
    *("reference", "purpose", "status", "amount_vnd", "paid_vnd", "applied_vnd", "payment_id"),
    *("credit_id", "verdict", "is_cash", "is_late", "payer_name", "memo", "occurred_at"),
)
_PAYMENT: Final = (
    *("credit_id", "verdict", "rule", "amount_vnd", "applied_vnd", "payer_name", "memo"),
    *("occurred_at", "is_late", "suggested_bill_id"),
)
_SESSION: Final = (
    *("session_id", "lot_id", "vehicle_class", "plate", "pass_id", "inside_count", "reason"),
    *("amount_vnd", "due_vnd", "paid_until"),
)
_REFUND: Final = ("refund_id", "payment_id", "credit_id", "status", "amount_vnd")
_DAY: Final = (
    *("day", "hash", "postings", "carried_vnd", "statement_accounts", "callbacks_only_accounts"),
    "closed_over_accounts",
)
_SETTLEMENT: Final = (
    *("settlement_id", "number", "first_day", "last_day", "gross_vnd", "refunds_vnd"),
    *("charges_vnd", "commission_vnd", "net_vnd", "payee_vnd"),
)
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "bill": _BILL,
    "payment": _PAYMENT,
    "refund": _REFUND,
    "day": _DAY,
    "settlement": _SETTLEMENT,
    "parking_session": _SESSION,
    "webhook": ("message",),
}
_WORDS: Final = ("memo", "payer_name", "purpose")  # that people wrote
_WORDS_OF_PAYERS: Final = ("memo", "payer_name")
_encoder: Final = msgspec.json.Encoder()


def write_body(event: SentEvent) -> bytes:
    """Write the body: the same bytes at each attempt and each replay of an event.

    Raises:
        LookupError: this release does not send such events.
    """
    name = find_type(event.kind)
    if name is None:
        raise LookupError(event.kind)
    stored: dict[str, Any] = msgspec.json.decode(event.data)
    data: dict[str, Any] = {"bill_id": event.bill_id, "payee_id": event.payee_id}
    data |= {field: stored[field] for field in FIELDS[name.partition(".")[0]] if field in stored}
    for field in _WORDS:
        if isinstance(data.get(field), str):
            data[field] = mask_plates(data[field])
    for field in _WORDS_OF_PAYERS:
        if isinstance(data.get(field), str):
            data[field] = mask_accounts(data[field])
    return _encoder.encode(
        {"id": event.id, "type": name, "timestamp": event.recorded_at, "data": data}
    )
