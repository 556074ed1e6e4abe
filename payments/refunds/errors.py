"""Errors of refunds."""

from core.errors import HubError, Kind


class RefundTooHigh(HubError):
    """Together with what is to be given back already it would be more than was paid."""

    kind, code, title = Kind.CONFLICT, "refund_too_high", "More than was paid"

    def __init__(self, left_vnd: int) -> None:
        super().__init__(
            f"{left_vnd} ₫ are left of what was paid, without what is given back already."
        )
        self.left_vnd = left_vnd
