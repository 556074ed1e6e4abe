"""Pictures of codes: the card of a bill or a printed code, as every surface draws it."""

from payments.bills.rules import BillFacts
from payments.vietqr.banks import find_bank
from payments.vietqr.cards import QrCard


def card_of(bill: BillFacts) -> QrCard:
    """Say what the card of a bill shows."""
    bank = find_bank(bill.bin)
    return QrCard(
        payload=bill.vietqr,
        bank_name=bill.bin if bank is None else bank.short_name,
        account_name=bill.holder_name,
        account_number=bill.code_account,
        amount_vnd=bill.code_amount_vnd,
        reference=bill.reference,
        expires_at=bill.expires_at,
    )
