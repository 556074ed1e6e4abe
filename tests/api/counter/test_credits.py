"""Every thing that a payment can be has its words in both languages, and only money is spoken."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from api.counter.credits import CreditFacts, present_credit
from api.http.i18n import LANGUAGES, translate
from core.money import format_vnd
from payments.credits.rules import MatchRule, Verdict

AT = datetime(2026, 11, 20, 7, 5, tzinfo=UTC)  # 14:05 in Hà Nội


def a_credit(judged: Verdict, **facts: object) -> CreditFacts:
    known: dict[str, object] = {
        "credit_id": UUID(int=1),
        "verdict": judged,
        "rule": MatchRule.MEMO_EXACT,
        "amount_vnd": 20_000,
        "payer_name": "TRAN VAN B",
        "occurred_at": AT,
        "is_late": False,
        "bill_amount_vnd": 20_000,
        "paid_vnd": 20_000,
        "received_vnd": 20_000,
    }
    return CreditFacts(**{**known, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize("judged", [one for one in Verdict if one is not Verdict.ACCOUNT_TEST])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_verdict_has_a_word_and_a_next_step(judged: Verdict, lang: str) -> None:
    verdict = present_credit(a_credit(judged), lang)

    assert verdict.word
    assert verdict.next_step
    assert verdict.who == "TRAN VAN B · 14:05"


@pytest.mark.parametrize("rule", list(MatchRule))
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_rule_says_why(rule: MatchRule, lang: str) -> None:
    if rule is not MatchRule.ACCOUNT_TEST:  # a test transfer is nobody's sale
        assert translate(lang, f"counter.sales.rule.{rule.value}", reference="PPX")


@pytest.mark.parametrize(
    ("judged", "facts", "say", "say_vnd"),
    [
        (Verdict.SETTLE, {}, "paid", 20_000),
        (Verdict.SETTLE, {"is_late": True}, "late", 20_000),
        (Verdict.PART, {"amount_vnd": 5_000, "paid_vnd": 15_000}, "short", 15_000),
        (Verdict.OVER, {"amount_vnd": 30_000, "received_vnd": 30_000}, "over", 30_000),
        (Verdict.CLOSED_BILL, {"bill_status": "paid"}, "repeated", 20_000),
        (Verdict.CLOSED_BILL, {"bill_status": "cancelled"}, "cancelled", 20_000),
        (Verdict.COUNTER_SALE, {"rule": MatchRule.SOLE_PAYEE}, "counter_sale", 20_000),
        (Verdict.UNASSIGNED, {"rule": MatchRule.NONE}, "counter_sale", 20_000),
        (Verdict.COUNTER_SALE, {"rule": MatchRule.ASSIGNED}, None, 20_000),
        (Verdict.SETTLE, {"rule": MatchRule.CONFIRMED}, None, 20_000),
        (Verdict.WRONG_ACCOUNT, {"rule": MatchRule.NONE}, None, 20_000),
        (Verdict.NO_BILL, {"rule": MatchRule.NONE}, None, 20_000),
    ],
)
def test_what_is_spoken_says_what_came_in_and_nothing_twice(
    judged: Verdict, facts: dict[str, object], say: str | None, say_vnd: int
) -> None:
    verdict = present_credit(a_credit(judged, **facts), "vi")

    assert (verdict.say, verdict.say_vnd) == (say, say_vnd)


def test_short_money_names_what_is_missing_and_the_rest_completes_it() -> None:
    short = present_credit(a_credit(Verdict.PART, amount_vnd=15_000, paid_vnd=15_000), "vi")
    rest = present_credit(a_credit(Verdict.SETTLE, amount_vnd=5_000), "vi")

    assert (short.shown_vnd, short.missing_vnd) == (15_000, 5_000)
    assert short.lines == (f"Còn thiếu {format_vnd(5_000)}",)
    assert rest.lines == (f"Đã đủ {format_vnd(20_000)}",)


def test_payer_without_a_name_is_said_to_have_none() -> None:
    credit = a_credit(Verdict.SETTLE, payer_name=None)

    assert present_credit(credit, "en").who == "Unnamed sender · 14:05"
