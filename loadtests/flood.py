"""The flood of callbacks: what each says, which come twice, which memos a bank mangled."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Final
from uuid import UUID

from loadtests.city import Market
from loadtests.wire import Call
from payments.bills.rules import BillFacts

REPEATED_SHARE: Final = 0.03
MANGLED_SHARE: Final = 0.04
AMOUNTS_VND: Final = (10_000, 15_000, 20_000, 25_000, 35_000, 50_000, 120_000)
HANOI: Final = timedelta(hours=7)
_numbers = count(50_000_001)


@dataclass(frozen=True, kw_only=True)
class Payment:
    """One transfer that a bank reports, and the bill it pays."""

    org_id: UUID
    account_id: UUID
    bank_reference: str
    bill_id: UUID
    reference: str
    amount_vnd: int


@dataclass(frozen=True, kw_only=True)
class Flood:
    """What is sent: `payments[i]` is what `calls[i]` reports; repeats name a payment again."""

    calls: list[Call]
    payments: list[Payment]


def write_flood(
    market_bills: Sequence[tuple[Market, list[BillFacts]]],
    *,
    seed: int,
    now: datetime,
    has_repeats: bool = True,
) -> Flood:
    """Write one callback per bill, in mixed order, with repeats behind the first notice.

    Args:
        market_bills: unpaid bills of each organisation.
        seed: the same seed gives the same order, repeats and memos.
    """
    chance = random.Random(seed)
    sent = [
        _make_call(market, bill, chance, now) for market, bills in market_bills for bill in bills
    ]
    chance.shuffle(sent)
    if has_repeats:
        for position in range(len(sent) - 1, -1, -1):
            if chance.random() < REPEATED_SHARE:
                # At once, or up to 2,000 later: both races are real.
                later = position + chance.choice((1, 1, 50, 2_000))
                sent.insert(min(later, len(sent)), sent[position])
    return Flood(calls=[call for call, _ in sent], payments=[payment for _, payment in sent])


def _make_call(
    market: Market, bill: BillFacts, chance: random.Random, now: datetime
) -> tuple[Call, Payment]:
    number = next(_numbers)
    bank_reference = f"FT26{number:010d}"
    assert bill.amount_vnd is not None
    body = {
        "id": number,
        "gateway": "Vietcombank",
        "transactionDate": (now + HANOI).strftime("%Y-%m-%d %H:%M:%S"),
        "accountNumber": bill.account_number,
        "code": None,
        "content": _write_memo(bill.reference, chance),
        "transferType": "in",
        "transferAmount": bill.amount_vnd,
        "accumulated": 0,
        "subAccount": None,
        "referenceCode": bank_reference,
        "description": "",
    }
    call = Call(
        path=f"/v1/callbacks/sepay/{market.address}",
        headers="User-Agent: SePay-Webhook/1.0\r\n",
        body=json.dumps(body, separators=(",", ":")).encode(),
        secret=market.secret,
    )
    payment = Payment(
        org_id=market.org.id,
        account_id=bill.receiving_account_id,
        bank_reference=bank_reference,
        bill_id=bill.id,
        reference=bill.reference,
        amount_vnd=bill.amount_vnd,
    )
    return call, payment


def _write_memo(reference: str, chance: random.Random) -> str:
    """Write a memo as banks do; a few are mangled in ways that data/bank_memos.tsv shows."""
    number = f"{chance.randrange(10**11):011d}"
    if chance.random() >= MANGLED_SHARE:
        return f"{reference} FT{number}   Ma giao dich Trace{number[:6]}"
    return chance.choice(
        (
            f"MBVCB.{number}.{reference.lower()}.CT tu 0011000{number[:6]}",
            f"{reference[:4]} {reference[4:9]} {reference[9:]}- Ma GD ACSP/ {number[:6]}",
            f"QR-{reference[:6]}-{reference[6:]} NGUYEN VAN A chuyen tien",
        )
    )
