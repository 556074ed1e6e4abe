"""Reasons in words: every code that the hub stores has a sentence in both languages."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import pytest

from api.http.i18n import LANGUAGES
from api.pages.reasons import (
    CODED,
    present_fact,
    present_reason,
    present_refusal,
    present_resolution,
)
from payments.bills.owners_rules import SaleStatus
from payments.bills.rules import BillStatus
from payments.breaks.rules import TAKEN_BACK, BreakReason
from payments.callbacks.rules import NoticeOutcome
from payments.credits.admissions import ANOTHER_TRANSFER, SAME_MONEY
from payments.credits.reasons import MatchReason
from payments.credits.rules import MatchRule, Verdict
from payments.providers.errors import Fault
from payments.providers.types import RefusalDetail
from payments.reconciliation.aging import EXPLAINED
from payments.reconciliation.reasons import ProofReason

OF_BILL: Final = {"reference": "PPDXA22345678", "rule": "memo_exact", "bill_status": "open"}
BY: Final = {"by": "Cô Lan"}
# Each code with facts as they are stored, and what both sentences must show of them.
FACTS: Final[dict[StrEnum, tuple[dict[str, Any], list[str]]]] = {
    MatchReason.BILL_FOUND: (OF_BILL, ["PPDXA22345678"]),
    MatchReason.BILL_CONFIRMED: (
        {"reference": "PPDXA22345678", "bill_status": "open"},
        ["PPDXA22345678"],
    ),
    MatchReason.SPREAD: ({"count": 3}, ["3"]),
    MatchReason.OTHER_ACCOUNT: ({"reference": "PPDXA22345678"}, ["PPDXA22345678"]),
    MatchReason.SEVERAL_BILLS: ({"count": 2}, ["2"]),
    MatchReason.AWAITS_PHONE: ({"reference": "PPDXA22345678"}, ["PPDXA22345678"]),
    MatchReason.NO_SUCH_BILL: ({"named": "PPDXA22345678"}, ["PPDXA22345678"]),
    MatchReason.FOREIGN_REFERENCE: ({"reference": "PPZZZ22345678"}, ["PPZZZ22345678"]),
    MatchReason.TEST_REFERENCE: ({}, []),
    MatchReason.PERHAPS_REPORTED_TWICE: ({}, []),
    MatchReason.BEFORE_APPROVAL: ({}, []),
    MatchReason.OWN_VIRTUAL_ACCOUNT: ({}, []),
    MatchReason.ENDED_VIRTUAL_ACCOUNT: ({}, []),
    MatchReason.SOLE_PAYEE: ({}, []),
    MatchReason.SHARED_ACCOUNT: ({"count": 4}, ["4"]),
    MatchReason.NOBODYS_ACCOUNT: ({}, []),
    MatchReason.ASSIGNED_BY: (BY, ["Cô Lan"]),
    MatchReason.NOT_TAKINGS_BY: ({**BY, "words": "con gửi"}, ["Cô Lan", "“con gửi”"]),
    MatchReason.TAKINGS_AGAIN_BY: (BY, ["Cô Lan"]),
    MatchReason.SAME_MONEY_BY: (BY, ["Cô Lan"]),
    ProofReason.SAME_PROVIDER_LINE: ({"named": "4519204731"}, ["4519204731"]),
    ProofReason.SAME_BANK_REFERENCE: ({"named": "FT26324000123"}, ["FT26324000123"]),
    ProofReason.SAME_BILL_REFERENCE: ({"named": "PPDXA22345678"}, ["PPDXA22345678"]),
    ProofReason.SHARED_BANK_REFERENCE: (
        {"named": "FT26324000123", "count": 3},
        ["FT26324000123", "3"],
    ),
    ProofReason.BANK_REFERENCE_IN_MEMO: ({"named": "FT26324000123"}, ["FT26324000123"]),
    ProofReason.REFUND_CODE_IN_MEMO: ({"named": "0A1B2C3D4E5F"}, ["0A1B2C3D4E5F"]),
    ProofReason.REFUND_BANK_REFERENCE: ({"named": "FT26324000123"}, ["FT26324000123"]),
    ProofReason.EXPLAINED_BY: ({**BY, "words": "phí SMS"}, ["Cô Lan", "“phí SMS”"]),
    BreakReason.NO_CALLBACK_OF_LINE: (
        {"booked_on": "2026-11-20", "amount_vnd": 20_000},
        ["2026-11-20", "20.000\u00a0₫"],
    ),
    BreakReason.NOT_ON_STATEMENT: (
        {"day": "2026-11-20", "amount_vnd": 20_000},
        ["2026-11-20", "20.000\u00a0₫"],
    ),
    BreakReason.NOTICE_UNREADABLE: ({"fault": "amount"}, []),
    BreakReason.NOTICE_FAILED: ({"error": "ValueError"}, ["ValueError"]),
    BreakReason.SIMULATED_MONEY: ({"amount_vnd": 20_000}, ["20.000\u00a0₫"]),
    BreakReason.ACCOUNT_NOT_LISTED: ({"account": "…0011"}, ["…0011"]),
    BreakReason.ACCOUNT_IN_USE: ({}, []),
    BreakReason.REPORTED_OTHERWISE: ({"differing": ["amount_vnd", "occurred_at"]}, [", "]),
    BreakReason.REPORTED_OF_A_DAY: ({}, []),
    BreakReason.REFERENCES_ADDED: ({"references": ["PPA", "PPB"]}, ["PPA, PPB"]),
    BreakReason.BANK_REFERENCE_REPEATED: ({"bank_reference": "FT26324"}, ["FT26324"]),
    BreakReason.BANK_REFERENCES_DIFFER: (
        {"bank_references": ["FT26324000123", "FT26324000124"]},
        ["FT26324000123, FT26324000124"],
    ),
    BreakReason.TWIN_WITHOUT_REFERENCE: ({}, []),
    BreakReason.TWIN_NAMED_LATER: ({}, []),
    BreakReason.NO_BILL_FITS: ({}, []),
    BreakReason.MATCHING_FAILED: ({"error": "ValueError"}, ["ValueError"]),
    BreakReason.REFUND_UNANSWERED: ({"amount_vnd": 20_000}, ["20.000\u00a0₫"]),
    BreakReason.COMPLAINT_UPHELD: ({"words": "Đã thu thừa"}, ["“Đã thu thừa”"]),
    BreakReason.OWNER_FAILED: (
        {"owner_kind": "parking", "to_status": "paid", "error": "TimeoutError"},
        ["parking", "TimeoutError"],
    ),
    BreakReason.BILL_SHORT: ({"reference": "PPDXA22345678"}, ["PPDXA22345678"]),
    BreakReason.CANCELLED_PART_PAID: ({"reference": "PPDXA22345678"}, ["PPDXA22345678"]),
    BreakReason.VEHICLE_INSIDE_ALREADY: (
        {"plate": "29A***45", "lot": "Bãi xe số 1"},
        ["29A***45", "Bãi xe số 1"],
    ),
    BreakReason.STAYS_OVERLAP: (
        {"plate": "29A***45", "lot": "Bãi xe số 1"},
        ["29A***45", "Bãi xe số 1"],
    ),
    BreakReason.STAY_OVERPAID: (
        {"plate": "29A…45", "lot": "Bãi xe"},
        ["29A…45", "Bãi xe"],
    ),
    BreakReason.STAY_WITHOUT_PRICE: (
        {"plate": "29A***45", "lot": "Bãi xe số 1"},
        ["29A***45", "Bãi xe số 1"],
    ),
    BreakReason.MOVEMENT_TO_CHECK: (
        {"why": "paid_twice", "lot": "Bãi xe số 1"},
        ["paid_twice", "Bãi xe số 1"],
    ),
    BreakReason.MOVEMENT_NOT_ACCEPTED: (
        {"why": "too_old", "lot": "Bãi xe số 1"},
        ["too_old", "Bãi xe số 1"],
    ),
    BreakReason.PAID_TOO_LATE: ({"reference": "PPDXA22345678"}, ["PPDXA22345678"]),
    BreakReason.TOLL_CHARGED_TOO: ({"reference": "PPDXA22345678"}, ["PPDXA22345678"]),
    BreakReason.TOLL_UNANSWERED: ({"reference": "PPDXA22345678"}, ["PPDXA22345678"]),
    BreakReason.TOLL_KEYS_NOT_TAKEN: ({"name": "VETC"}, "VETC"),
    BreakReason.POLL_ROWS_UNREADABLE: ({"account": "…0011", "rows": 3}, ["…0011", "3"]),
    BreakReason.POLL_ANSWER_PASSED: ({"account": "…0011"}, ["…0011"]),
    BreakReason.CLOSED_OVER: ({"account": "…0011", "day": "2026-11-20"}, ["…0011"]),
    BreakReason.WEBHOOK_GONE: ({"host": "erp.example.vn"}, ["erp.example.vn"]),
    BreakReason.WEBHOOK_FAILING: ({"host": "erp.example.vn"}, ["erp.example.vn"]),
    BreakReason.INVARIANT_BROKEN: (
        {"invariant": "postings_sum_to_zero", "evidence": {"sum_vnd": "5"}},
        ["postings_sum_to_zero", "sum_vnd 5"],
    ),
    BreakReason.WORK_OVERDUE: (
        {"invariant": "nothing_is_overdue", "evidence": {"what": "notice"}},
        ["nothing_is_overdue", "what notice"],
    ),
    BreakReason.ENDPOINT_SILENT: (
        {"invariant": "earning_endpoints_are_not_silent", "evidence": {"quiet_hours": "4"}},
        ["earning_endpoints_are_not_silent", "quiet_hours 4"],
    ),
}
CODES: Final[list[StrEnum]] = [*MatchReason, *BreakReason, *ProofReason]


@pytest.mark.parametrize("code", CODES)
def test_every_reason_has_a_sentence_of_its_own_in_both_languages(code: StrEnum) -> None:
    facts, shown = FACTS[code]
    sentences = [present_reason(lang, code.value, facts) for lang in LANGUAGES]

    assert len(set(sentences)) == len(LANGUAGES), "each language says it in its own way"
    for sentence in sentences:
        assert sentence != code.value
        assert " " in sentence
        assert "{" not in sentence
        assert [one for one in shown if one not in sentence] == []
        named = [value for name, value in facts.items() if name in CODED]
        assert [one for one in named if str(one) in sentence.split()] == []


def test_no_two_reasons_share_a_code() -> None:
    codes = [code.value for code in CODES]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("fact", "codes"),
    [
        ("rule", list(MatchRule)),
        ("bill_status", list(BillStatus)),
        ("to_status", [*BillStatus, *SaleStatus]),
        ("fault", list(Fault)),
        (
            "differing",  # what payments/credits/duplicates.py compares
            ["amount_vnd", "direction", "references", "bank_reference", "occurred_at"],
        ),
    ],
)
def test_facts_that_are_codes_have_words_in_both_languages(fact: str, codes: Iterable[str]) -> None:
    for code in codes:
        words = [present_fact(lang, fact, str(code)) for lang in LANGUAGES]
        assert len(set(words)) == len(LANGUAGES), code


def test_however_the_hub_closes_a_break_it_is_said_in_words() -> None:
    closed_by_processing = {
        one.value
        for one in NoticeOutcome
        if one not in (NoticeOutcome.WAITS_FOR_ACCOUNT, NoticeOutcome.FAILED)
    }
    closed_otherwise = {
        ANOTHER_TRANSFER, SAME_MONEY, "account_listed", "handled", "holds_again", TAKEN_BACK,
        EXPLAINED,
        *(one.value for one in Verdict),
    }  # fmt: skip
    for code in closed_by_processing | closed_otherwise:
        said = {present_resolution(lang, code) for lang in LANGUAGES}
        assert len(said) == len(LANGUAGES), code
    assert present_resolution("en", "đã trả khách tiền mặt") == "đã trả khách tiền mặt"


def test_sentences_read_as_people_say_them() -> None:
    code, facts = "bill_found", {**OF_BILL, "bill_status": "part_paid"}
    assert present_reason("vi", code, facts) == (
        "Trả cho khoản thu PPDXA22345678, theo mã trong nội dung. Trước đó khoản thu: thiếu tiền."
    )
    assert present_reason("en", code, facts) == (
        "Pays the bill PPDXA22345678, by the code in the memo. The bill before: part paid."
    )
    assert present_reason("en", "spread", {"count": 1}) == "Pays 1 bill."
    assert present_reason("vi", "not_takings_by", {**BY, "words": "con gửi"}) == (
        "Cô Lan ghi là không phải tiền hàng. “con gửi”"
    )


def test_a_reason_of_another_version_is_shown_as_its_code() -> None:
    assert present_reason("vi", "said_by_a_newer_hub", {}) == "said_by_a_newer_hub"
    assert present_reason("vi", "no_such_bill", {}) == "no_such_bill"


def test_what_was_wrong_with_a_refused_message_is_said_in_words() -> None:
    for detail in RefusalDetail:
        said = {present_refusal(lang, detail.value) for lang in LANGUAGES}
        assert len(said) == len(LANGUAGES), detail
        assert detail.value not in said
