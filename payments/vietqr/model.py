"""The VietQR model, field by field (NAPAS profile of EMVCo's merchant-presented codes)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GUID_NAPAS: Final = "A000000727"
CURRENCY_VND: Final = "704"
COUNTRY_VN: Final = "VN"

PAYLOAD_CHARS_MAX: Final = 512  # EMVCo MPM v1.1 §3.2
ACCOUNT_CHARS_MAX: Final = 19
MERCHANT_NAME_CHARS_MAX: Final = 25
MERCHANT_CITY_CHARS_MAX: Final = 15
POSTAL_CODE_CHARS_MAX: Final = 10
LABEL_CHARS_MAX: Final = 25
# NAPAS allows 25, VietQR.vn 19: what fits the narrowest goes through everywhere.
PURPOSE_CHARS_MAX: Final = 19

# Objects that no field below holds, as (tag, value) in ascending order of tags.
Others = tuple[tuple[str, str], ...]


class PointOfInitiation(StrEnum):
    """How often a code is meant to be paid; most apps lock the amount of a dynamic one."""

    STATIC = "11"
    DYNAMIC = "12"


class Service(StrEnum):
    """What NAPAS does with the transfer."""

    QRIBFTTA = "QRIBFTTA"  # to an account
    QRIBFTTC = "QRIBFTTC"  # to a card
    QRPUSH = "QRPUSH"  # payment at a merchant
    QRCASH = "QRCASH"  # cash at an ATM


@dataclass(frozen=True, slots=True, kw_only=True)
class AdditionalData:
    """Object 62. None: not there; "": there with length zero; "***": the app asks the payer."""

    bill_number: str | None = None  # 01
    mobile: str | None = None  # 02
    store_label: str | None = None  # 03
    loyalty_number: str | None = None  # 04
    reference_label: str | None = None  # 05
    customer_label: str | None = None  # 06
    terminal_label: str | None = None  # 07
    purpose: str | None = None  # 08, the memo that the payer's app fills in
    consumer_request: str | None = None  # 09, of the letters A (address), M (mobile), E (e-mail)
    others: Others = ()  # 10–49 reserved, 50–99 payment systems' own templates


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternateLanguage:
    """Object 64: the merchant's name and city in another language."""

    language: str | None = None  # 00, ISO 639
    merchant_name: str | None = None  # 01
    merchant_city: str | None = None  # 02
    others: Others = ()  # 03–99 reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class VietQr:
    """One code: who is paid, how much and what for.

    The checksum is not here: it belongs to one text, not to what the text says.
    Source: NAPAS QR_Format_T&C v1.0 (09/2021); EMVCo QR Code MPM v1.1.
    """

    point_of_initiation: PointOfInitiation  # 01
    bin: str  # 38.01.00, six digits that name the bank
    account: str  # 38.01.01, an account, virtual account or card
    service: Service | None = Service.QRIBFTTA  # 38.02, None where a code names none
    amount_vnd: int | None = None  # 54, None: the payer keys it
    additional: AdditionalData | None = None  # 62
    merchant_category: str | None = None  # 52, ISO 18245
    currency: str | None = CURRENCY_VND  # 53, None where a code leaves it out
    tip_indicator: str | None = None  # 55: 01 ask, 02 fixed, 03 percent
    tip_fixed_vnd: int | None = None  # 56
    tip_percent: str | None = None  # 57, as written: "5.0"
    country: str | None = COUNTRY_VN  # 58, None where a code leaves it out
    merchant_name: str | None = None  # 59
    merchant_city: str | None = None  # 60
    postal_code: str | None = None  # 61
    alternate_language: AlternateLanguage | None = None  # 64
    beneficiary_others: Others = ()  # in 38.01 besides 00 and 01: some issuers put 02 here
    account_others: Others = ()  # in 38 besides 00, 01 and 02
    others: Others = ()  # 02–37 and 39–51 other schemes, 65–79 reserved, 80–99 unreserved

    @property
    def purpose(self) -> str | None:
        """The memo (62.08)."""
        return self.additional.purpose if self.additional else None

    @property
    def is_dynamic(self) -> bool:
        """Whether the code is meant for one payment only."""
        return self.point_of_initiation is PointOfInitiation.DYNAMIC
