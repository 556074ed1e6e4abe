"""Layouts of banks, written from what their sources say, and what is known of none of them."""

import pytest

from payments.statements.reading.layouts import LAYOUTS, Evidence
from tests.world.statements import Rows, as_csv, as_html, as_xls, as_xlsx, read

CASHUP: Rows = [
    ["SAO KÊ TÀI KHOẢN / STATEMENT OF ACCOUNT"],
    ["Số tài khoản/Account number", None, "0071001234567"],
    ["Loại tiền/Currency", None, "VND"],
    ["Số dư đầu kỳ/ Opening balance", None, "3,359,662,231 VND"],
    [
        *("STT", "DD/MM/YYYY   DOCNO", None, "Số tiền ghi nợ/Debit", "Số tiền ghi có/Credit"),
        *("Số dư/Balance", "Nội dung/Description"),
    ],
    ["1", "02/11/2026   5214 - 1", None, None, "20,000", "3,359,682,231", "MBVCB.1"],
    ["2", "03/11/2026", "5214 - 2", "1,000", None, "3,359,681,231", "phí"],
    ["Tổng số/Total", None, None, "1,000", "20,000"],
]
PERSONAL: Rows = [
    ["Ngày giao dịch", "Số tham chiếu", "Thay đổi", "Số tiền", "Mô tả"],
    ["02/11/2026", "5214 - 1", "+", "20,000", "MBVCB.1"],
    ["03/11/2026", "5214 - 2", "-", "1,000", "phí"],
    ["Tổng", None, None, "19,000"],
]
GUIDE: Rows = [
    ["Ngày GD", "Số CT", "Mô tả", "Phát sinh Nợ", "Phát sinh Có", "Số dư"],
    ["02/11/2026", "5214 - 1", "MBVCB.1", None, "20,000", "3,359,682,231"],
    ["03/11/2026", "5214 - 2", "phí", "1,000", None, "3,359,681,231"],
]
TCB: Rows = [
    [
        "Ngày GD/Date",
        "Mã GD/Trans ID",
        "Loại GD",
        "Số CT",
        "Mô tả",
        "Phát sinh Nợ",
        "Phát sinh Có",
        "Số dư",
    ],
    ["02/11/2026", "9", "CK", "5214 - 1", "MBVCB.1", None, "20,000", "3,359,682,231"],
    ["03/11/2026", "10", "PHI", "5214 - 2", "phí", "1,000", None, "3,359,681,231"],
]
BIDV: Rows = [
    ["Ngày hiệu lực", "Diễn giải", "Số tiền", "Số CT"],
    ["02/11/2026", "MBVCB.1", "+20,000.00", "5214 - 1"],
    ["03/11/2026", "phí", "-1,000.00", "5214 - 2"],
]


@pytest.mark.parametrize(
    ("code", "content"),
    [
        ("vcb_cashup", as_xls({"VCBACCOUNTDETAIL_1": CASHUP})),
        ("vcb_cashup", as_html(CASHUP)),
        ("vcb_personal", as_xlsx(PERSONAL)),
        ("vcb_mb_guide", as_xlsx(GUIDE)),
        ("tcb_guide", as_csv(TCB)),
        ("bidv_guide", as_csv(BIDV)),
    ],
)
def test_a_described_layout_is_read_and_named(code: str, content: bytes) -> None:
    lines, errors, summary = read(content)

    assert not errors
    assert [(str(one.booked_on), one.direction, one.amount_vnd) for one in lines] == [
        ("2026-11-02", "in", 20_000),
        ("2026-11-03", "out", 1_000),
    ]
    assert [one.bank_reference for one in lines] == ["5214 - 1", "5214 - 2"]
    assert [one.memo for one in lines] == ["MBVCB.1", "phí"]
    assert summary.layout == code
    assert summary.is_acceptable


def test_two_accounts_in_one_cashup_file_are_refused() -> None:
    second = [["Số tài khoản/Account number", None, "0071009999999"], *CASHUP[2:]]

    lines, _, summary = read(as_html([*CASHUP, *second]))

    assert len(lines) == 2
    assert [one.code for one in summary.problems] == ["several_accounts"]


def test_columns_that_a_source_names_by_place_only_are_found_by_their_form() -> None:
    rows = [["Ngày giao dịch", "A", "B", "C", "D"], *PERSONAL[1:]]

    lines, errors, _ = read(as_xlsx(rows))

    assert ([one.amount_vnd for one in lines], errors) == ([20_000, 1_000], [])


def test_every_layout_names_its_source_and_none_is_called_proven() -> None:
    assert {bank for one in LAYOUTS for bank in one.banks} == {
        *("VCB", "MB", "TCB", "BIDV", "CTG", "AGRIBANK")
    }
    for one in LAYOUTS:
        assert one.source
        assert one.evidence in (Evidence.CODE, Evidence.SECONDARY)
    assert len({one.code for one in LAYOUTS}) == len(LAYOUTS)
