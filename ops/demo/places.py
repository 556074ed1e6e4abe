"""The demo city's places: Hà Nội's, each with stalls, banks and a provider. Data only.

The markets, the walking street and the parking sites exist; everything else is made up: stalls,
account numbers and holders, and nobody's name is used. The parking sites are those of the cashless
pilot that began on 15/4/2024, as the press named them (the car park at Trần Quang Khải, roadside
sites, and the motorbikes' pavement at Phủ Doãn).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from identity.organisations.rules import OrgKind

VCB, MB, BIDV = "970436", "970422", "970418"
VIETINBANK, ACB, TECHCOMBANK = "970415", "970416", "970407"
# The six banks of the sandbox (sandbox/bank.py), in the order in which stalls choose theirs.
BANKS: Final = (VCB, MB, BIDV, VIETINBANK, ACB, TECHCOMBANK)

CITY_CODE: Final = "HNTP"
CITY_NAME: Final = "Thành phố Hà Nội (mẫu)"
CITY_SLUG: Final = "hn"


class Account(StrEnum):
    """Whose account a stall's codes name."""

    OWN = "own"
    VIRTUAL = "virtual"  # the board's, kept apart by a virtual account
    SHARED = "shared"  # the board's, and nothing tells the stalls apart


@dataclass(frozen=True, kw_only=True)
class Stall:
    """One payee."""

    name: str
    place: str
    label: str  # short and ASCII, for logins and holders: "A12"
    account: Account = Account.OWN
    has_logins: bool = False  # an owner and a cashier


@dataclass(frozen=True, kw_only=True)
class Place:
    """One organisation of the demo city. All of them are test organisations."""

    code: str  # in every reference of its bills
    slug: str  # in its people's logins: "quanly.dx"
    name: str
    kind: OrgKind
    holder: str  # how banks print it: "DONG XA"
    provider: str  # whose callbacks report its money
    number: int  # 1 to 99, in all its account numbers
    stalls: tuple[Stall, ...]
    has_attendant: bool = False
    payos_labels: tuple[str, ...] = ()  # stalls whose account has payOS's keys for itself alone

    @property
    def board_account(self) -> tuple[str, str, str]:
        """(BIN, number, holder) of the account that stalls share."""
        return BANKS[self.number % len(BANKS)], f"{8800 + self.number}000000", f"BQL {self.holder}"

    def account_of(self, position: int) -> tuple[str, str, str]:
        """(BIN, number, holder) of the account that the stall at this position names."""
        stall = self.stalls[position]
        if stall.account is not Account.OWN:
            return self.board_account
        bin_ = BANKS[(self.number + position) % len(BANKS)]
        holder = f"HO KINH DOANH {stall.label} {self.holder}".upper()
        return bin_, f"{8800 + self.number}{position + 1:06d}", holder

    def virtual_account_of(self, position: int) -> str | None:
        """The virtual account of a stall that has one: "CMBM0001"."""
        is_virtual = self.stalls[position].account is Account.VIRTUAL
        return f"{self.code}{position + 1:04d}" if is_virtual else None


@dataclass(frozen=True, kw_only=True)
class Payer:
    """Somebody with a bank app in the sandbox, besides the two that it brings."""

    name: str
    bin: str
    number: str
    holder: str
    balance_vnd: int


def _market(
    where: str, *goods: tuple[str, str], account: Account = Account.OWN, with_logins: int = 1
) -> tuple[Stall, ...]:
    """Write a market's stalls from (label, goods); the first ones have people who sign in."""
    return tuple(
        Stall(
            name=f"{what} – quầy {label}",
            place=f"{where}, quầy {label}",
            label=label,
            account=account,
            has_logins=position < with_logins,
        )
        for position, (label, what) in enumerate(goods)
    )


def _site(name: str, label: str) -> Stall:
    return Stall(name=name, place=name, label=label)


DONG_XA: Final = Place(
    code="CDXA",
    slug="dx",
    name="Ban quản lý chợ Đồng Xa (mẫu)",
    kind=OrgKind.MARKET_BOARD,
    holder="CHO DONG XA",
    provider="sepay",
    number=1,
    stalls=_market(
        "Chợ Đồng Xa",
        ("A12", "Phở bò"),
        ("A14", "Bún chả"),
        ("B03", "Rau sạch"),
        ("B07", "Trái cây"),
        ("C01", "Thịt lợn"),
        ("C05", "Cá sông"),
    ),
)
THAI_HA: Final = Place(
    code="CTHA",
    slug="th",
    name="Ban quản lý chợ Thái Hà (mẫu)",
    kind=OrgKind.MARKET_BOARD,
    holder="CHO THAI HA",
    provider="casso",
    number=2,
    stalls=_market(
        "Chợ Thái Hà",
        ("01", "Bánh cuốn"),
        ("05", "Xôi chè"),
        ("11", "Vải và quần áo"),
        ("16", "Hoa tươi"),
        ("21", "Giày dép"),
    ),
)
MO: Final = Place(
    code="CMBM",
    slug="mo",
    name="Ban quản lý chợ Mơ (mẫu)",
    kind=OrgKind.MARKET_BOARD,
    holder="CHO MO",
    provider="sepay",
    number=3,
    stalls=_market(
        "Chợ Mơ",
        ("101", "Bún đậu"),
        ("104", "Ốc luộc"),
        ("112", "Đồ khô"),
        ("118", "Gia vị"),
        ("203", "Vải may đo"),
        ("210", "Đồ gia dụng"),
        account=Account.VIRTUAL,
    ),
)
QUANG_OAI: Final = Place(
    code="CQBV",
    slug="qoai",
    name="Ban quản lý chợ Quảng Oai (mẫu)",
    kind=OrgKind.MARKET_BOARD,
    holder="CHO QUANG OAI",
    provider="sepay_apikey",
    number=4,
    stalls=_market(
        "Chợ Quảng Oai",
        ("D1", "Gà đồi"),
        ("D2", "Sữa và bánh sữa"),
        ("D4", "Chè khô"),
        ("E2", "Nông cụ"),
    ),
)
THUONG_THANH: Final = Place(
    code="CTTH",
    slug="tt",
    name="Ban quản lý chợ Thượng Thanh (mẫu)",
    kind=OrgKind.MARKET_BOARD,
    holder="CHO THUONG THANH",
    provider="payos",
    number=5,
    payos_labels=("G01",),
    stalls=_market(
        "Chợ Thượng Thanh",
        ("G01", "Cháo sườn"),
        ("G02", "Đậu phụ"),
        ("G06", "Trứng"),
        ("H03", "Tạp hóa"),
    ),
)
HOAN_KIEM: Final = Place(
    code="PDHK",
    slug="hk",
    name="Phố đi bộ hồ Hoàn Kiếm (mẫu)",
    kind=OrgKind.BUSINESS,
    holder="PHO DI BO HOAN KIEM",
    provider="vietqrvn",
    number=6,
    stalls=(
        *_market("Phố đi bộ hồ Hoàn Kiếm", ("K1", "Kem"), ("K2", "Cà phê"), ("K3", "Nước mía")),
        *_market(
            "Phố đi bộ hồ Hoàn Kiếm, cụm lưu niệm",
            ("L1", "Tò he"),
            ("L2", "Tranh và bưu thiếp"),
            ("L3", "Quạt giấy"),
            account=Account.SHARED,
            with_logins=2,
        ),
    ),
)
PARKING: Final = Place(
    code="DXTD",
    slug="dxe",
    name="Điểm đỗ xe không tiền mặt, thí điểm Hà Nội (mẫu)",
    kind=OrgKind.PARKING_OPERATOR,
    holder="DIEM DO XE THI DIEM",
    provider="casso",
    number=7,
    stalls=(
        _site("Bãi đỗ xe Trần Quang Khải", "TQK"),
        _site("Điểm đỗ xe phố Lý Thường Kiệt", "LTK"),
        _site("Điểm đỗ xe phố Phan Chu Trinh", "PCT"),
        _site("Điểm đỗ xe phố Lý Thái Tổ (1)", "LTT1"),
        _site("Điểm đỗ xe phố Lý Thái Tổ (2)", "LTT2"),
        _site("Điểm đỗ xe phố Nguyễn Thượng Hiền", "NTH"),
        _site("Điểm trông giữ xe máy phố Phủ Doãn", "PD"),
    ),
    has_attendant=True,
)
WARD: Final = Place(
    code="BPMC",
    slug="ubnd",
    name="UBND phường, bộ phận một cửa (mẫu)",
    kind=OrgKind.OFFICE,
    holder="UBND PHUONG",
    provider="payos",
    number=8,
    stalls=(
        Stall(name="Lệ phí hộ tịch", place="UBND phường, quầy 1", label="Q1"),
        Stall(name="Lệ phí chứng thực", place="UBND phường, quầy 2", label="Q2"),
    ),
)
PLACES: Final = (
    DONG_XA,
    THAI_HA,
    MO,
    QUANG_OAI,
    THUONG_THANH,
    HOAN_KIEM,
    PARKING,
    WARD,
)

PAYERS: Final = (
    Payer(
        name="khach",
        bin=TECHCOMBANK,
        number="19030000000001",
        holder="KHACH DU LICH",
        balance_vnd=20_000_000,
    ),
    Payer(
        name="congty",
        bin=ACB,
        number="12000001",
        holder="CONG TY MAU",
        balance_vnd=500_000_000,
    ),
)
