"""Statements on paper: what a PDF and a workbook show, and that texts are never code."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from core.clock import read_clock
from core.ids import new_id
from payments.breaks.rules import BreakKind
from payments.decisions.rules import ABOUT_CREDITS
from payments.ledger.types import Leg
from payments.settlements.excel import write_workbook
from payments.settlements.paper import Paper, write_paper, write_rate
from payments.settlements.pdf import write_pdf
from payments.settlements.rules import Channel
from tests.world.papers import cells_of, fonts_of, text_of

PERSON = str(UUID(int=4))
FACTS: dict[str, Any] = {
    "organisation": "Ban quản lý chợ Đồng Xa",
    "number": "QT26-01-000017",
    "payee_name": "Phở Thìn",
    "payee_place": "Chợ Đồng Xa, dãy B, quầy 12",
    "first_day": "2026-11-01",
    "last_day": "2026-11-20",
    "cut_off_at": "2026-11-21T05:00:00+00:00",
    "lines": [
        ["vietqr", 260_001, 0, 2],
        ["cash", 39_999, 0, 1],
        ["counter_sale", 35_000, 0, 1],
        ["written_off", 5_000, 0, 1],
        ["refund", 0, 15_000, 1],
    ],
    "gross_vnd": 335_000,
    "refunds_vnd": 15_000,
    "charges": [{"channel": "vietqr", "bps": 11, "amount_vnd": 286}],
    "charges_vnd": 286,
    "fixed_charge_vnd": 11_000,
    "commission_bps": 250,
    "commission_vnd": 8_000,
    "net_vnd": 300_714,
    "shares": [
        {"name": "Ban quản lý chợ", "bps": 1_500, "amount_vnd": 45_107},
        {"name": "Phường", "bps": 333, "amount_vnd": 10_014},
    ],
    "payee_vnd": 245_593,
    "carried": [
        {
            "id": str(UUID(int=9)),
            "kind": "refund_due",
            "amount_vnd": 5_000,
            "opened_at": "2026-11-20T05:00:00+00:00",
        }
    ],
    "carried_count": 1,
    "drafted_by": PERSON,
    "drafted_at": "2026-11-21T06:00:00+00:00",
    "reviewed_by": PERSON,
    "reviewed_at": "2026-11-21T07:00:00+00:00",
    "approved_by": str(UUID(int=2)),
    "approved_at": "2026-11-21T08:00:00+00:00",
    "names": {PERSON: "Nguyễn Thị Ngữ", str(UUID(int=2)): "Đỗ Văn Xuyến"},
}
# Texts that a person may give a payee or a share, and that some language would take for code.
CODE = [
    '#read("/etc/passwd")',
    '#import "@preview/cetz:0.2.0"',
    "$ x^2 $ *bold* _it_ `raw` @ref <label>",
    "= Heading \\ #set page(fill: red) // ${HOME}",
    '"; #panic() ("',
    "{{ 7*7 }} <b>&amp;</b>",
]
FORMULAS = ['=HYPERLINK("http://evil")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"]


def a_paper(*, is_draft: bool = False, **facts: Any) -> Paper:
    return write_paper({**FACTS, **facts}, is_draft=is_draft)


def test_a_pdf_reads_back_as_it_was_written() -> None:
    pdf = write_pdf(a_paper())
    found = text_of(pdf)

    for words in (
        "BẢNG KÊ QUYẾT TOÁN",
        "Số: QT26-01-000017",
        "Ban quản lý chợ Đồng Xa",
        "Kỳ từ ngày 01/11/2026 đến hết ngày 20/11/2026",
        "Chốt sổ lúc 12:00 ngày 21/11/2026",
        "Phở Thìn",
        "VietQR (chuyển khoản)",
        "260.001",
        "Phần thiếu đã xóa sổ (không tính)",
        "Hoa hồng 2,5",
        "−8.000",
        "Phần của Phường, 3,33",
        "Thực nhận: 245.593",
        "Hai trăm bốn mươi lăm nghìn năm trăm chín mươi ba đồng.",
        "Cần trả lại khách",
        "Nguyễn Thị Ngữ",
        "Đỗ Văn Xuyến",
        "Trang 1/1",
    ):
        assert words in found, words
    assert "BẢN NHÁP" not in found
    assert fonts_of(pdf) == {"BeVietnamPro"}


def test_the_same_paper_is_the_same_bytes() -> None:
    assert write_pdf(a_paper()) == write_pdf(a_paper())


def test_a_draft_says_so() -> None:
    assert "BẢN NHÁP" in text_of(write_pdf(a_paper(is_draft=True, number=None)))


@pytest.mark.parametrize("words", CODE)
def test_texts_are_shown_and_never_read_as_code(words: str) -> None:
    share = [{"name": words, "bps": 1_500, "amount_vnd": 45_107}]

    found = text_of(
        write_pdf(a_paper(payee_name=words, payee_place=words, organisation=words, shares=share))
    )

    assert "root:" not in found
    plain = "".join(found.split())
    assert plain.count("".join(words.split())) >= 3, found


def test_a_long_list_of_breaks_and_shares_takes_further_pages_with_their_numbers() -> None:
    carried = [{**FACTS["carried"][0], "kind": kind} for kind in ["refund_due", "new_kind"] * 25]
    shares = [{"name": "Đơn vị " * 10 + str(i), "bps": 100, "amount_vnd": 1} for i in range(10)]

    found = text_of(write_pdf(a_paper(carried=carried, carried_count=70, shares=shares)))

    assert "Trang 1/" in found
    assert "Trang 2/" in found
    assert "Tất cả 70 khoản" in found
    assert found.count("Khoản chưa khớp") >= 25  # a kind that has no words yet


def test_open_breaks_are_counted_and_never_summed() -> None:
    shown = [{**FACTS["carried"][0], "kind": kind} for kind in ("short", "refund_due")]
    paper = a_paper(carried=shown, carried_count=2)

    assert paper.carried_note == "Tất cả 2 khoản; nêu 2 khoản lâu nhất."
    assert [one.name for one in paper.carried] == ["Khoản thu trả thiếu", "Cần trả lại khách"]


@pytest.mark.parametrize(
    "kind",
    [
        *sorted(ABOUT_CREDITS),
        BreakKind.SHORT,
        BreakKind.LINE_WITHOUT_CREDIT,
        BreakKind.CREDIT_WITHOUT_LINE,
        BreakKind.STATEMENT_GAP,
    ],
)
def test_each_break_that_is_about_a_payees_money_has_words(kind: str) -> None:
    (row,) = a_paper(carried=[{**FACTS["carried"][0], "kind": kind}]).carried

    assert row.name != "Khoản chưa khớp"


def test_a_negative_amount_is_said_as_one() -> None:
    found = text_of(write_pdf(a_paper(payee_vnd=-1_005, net_vnd=-1_005)))

    assert "Thực nhận: −1.005" in found
    assert "Âm một nghìn không trăm linh năm đồng." in found


def test_each_channel_has_its_words() -> None:
    lines = [[channel.value, 1, 0, 1] for channel in Channel]
    names = [one.name for one in a_paper(lines=lines).channels]

    assert len(set(names)) == len(Channel)


@pytest.mark.parametrize(
    ("bps", "says"),
    [(250, "2,5 %"), (11, "0,11 %"), (10_000, "100 %"), (305, "3,05 %"), (0, "0 %")],
)
def test_a_rate_is_written_as_people_read_it(bps: int, says: str) -> None:
    assert write_rate(bps).replace("\u00a0", " ") == says


def a_leg(*, amount_vnd: int, is_credit: bool = True) -> Leg:
    at = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
    return Leg(
        id=new_id(),
        posted_at=at,
        day=date(2026, 11, 20),
        effective_at=at,
        amount_vnd=amount_vnd,
        is_credit=is_credit,
        other_code="bank_clearing",
        cause_kind="payment",
        cause_id=new_id(),
    )


def test_a_workbook_has_totals_and_postings_and_no_formula() -> None:
    words = FORMULAS[0]
    shares = [{"name": name, "bps": 1, "amount_vnd": 1} for name in FORMULAS]
    paper = a_paper(payee_name=words, payee_place=FORMULAS[1], organisation=words, shares=shares)
    items = [
        (a_leg(amount_vnd=20_000), words),
        (a_leg(amount_vnd=15_000, is_credit=False), "Hoàn tiền"),
        (a_leg(amount_vnd=2**53), "VietQR"),
    ]

    totals, postings = cells_of(write_workbook(paper, items, is_cut=True, at=read_clock()))

    assert (totals["A1"], totals["B3"]) == (words, words)
    amounts = {
        totals[f"A{row}"]: totals.get(f"B{row}") for row in range(1, 40) if f"A{row}" in totals
    }
    assert amounts["Thực nhận của người thụ hưởng"] == 245_593
    assert amounts["Hoàn tiền cho khách"] == -15_000
    assert {f"Phần của {name}, 0,01\u00a0%" for name in FORMULAS} <= set(amounts)
    assert [postings[f"E{row}"] for row in (2, 3, 4)] == [20_000, -15_000, str(2**53)]
    assert {postings[f"D{row}"] for row in (2, 3, 4)} == {"Thanh toán khoản thu"}
    assert (totals["A11"], totals["E11"]) == ("Phần thiếu đã xóa sổ (không tính)", "5.000\u00a0₫")
    assert "20.000 bút toán đầu" in str(postings["A5"])


def test_a_workbook_of_the_same_paper_is_the_same_bytes() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    items = [(a_leg(amount_vnd=1), "VietQR")]

    def write() -> bytes:
        return write_workbook(replace(a_paper()), items, is_cut=False, at=at)

    assert write() == write()
