"""Published payloads: what they say, and what is wrong with the broken ones.

A fresh clone has these; next to the project's shared notes the tests read the 84 there as well.
"""

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[3] / "../shared/data"

PDF = "NAPAS QR_Format_T&C v1.0 (09/2021)"
# (payload, what decoding it must print, where it was published)
VALID: list[tuple[str, dict[str, Any], str]] = [
    (
        (
            "00020101021138600010A00000072701300006970403011697040311012345670208QRIBFTTC"
            "53037045802VN63044F52"
        ),
        {"point_of_initiation": "11", "account": "9704031101234567", "service": "QRIBFTTC"},
        f"{PDF} §6.1.2, static, to a card",
    ),
    (
        (
            "00020101021238570010A00000072701270006970403011300110123456780208QRIBFTTA"
            "530370454061800005802VN62340107NPS68690819thanh toan don hang63042E2E"
        ),
        {
            "point_of_initiation": "12",
            "account": "0011012345678",
            "amount_vnd": 180_000,
            "purpose": "thanh toan don hang",
            "additional": {"01": "NPS6869", "08": "thanh toan don hang"},
        },
        f"{PDF} §6.1.3, dynamic, to an account",
    ),
    (
        (
            "00020101021238600010A00000072701300006970403011697040311012345670208QRIBFTTC"
            "530370454061800005802VN62340107NPS68690819thanh toan don hang6304A203"
        ),
        {"service": "QRIBFTTC", "amount_vnd": 180_000, "crc": "A203"},
        f"{PDF} §6.1.4, dynamic, to a card",
    ),
    (
        (
            "00020101021138570010A00000072701270006970403011300110123456780208QRIBFTTA"
            "53037045802VN63049E6F"
        ),
        {"account": "0011012345678", "amount_vnd": None, "purpose": None, "additional": None},
        f"{PDF} §6.1.1 with its misprinted length put right (github openhoangnc/vietqr)",
    ),
    (
        (
            "00020101021138540010A00000072701240006970422011003523509170208QRIBFTTA"
            "53037045802VN630479db"
        ),
        {"bin": "970422", "account": "0352350917", "crc": "79db"},
        "MB, checksum in lower case (github xuannghia/vietnam-qr-pay 17a05d3f, tests)",
    ),
    (
        (
            "00020101021138590010A000000727012900069704180115V3CASLHRE4GFPY50208QRIBFTTA"
            "53037045802VN6304B5EA"
        ),
        {"bin": "970418", "account": "V3CASLHRE4GFPY5"},
        "BIDV virtual account (github tuanpmt/vietqr-gen e0d3074, README)",
    ),
    (
        (
            "00020101021238580010A00000072701300006970403011621129950446040250206QRPUSH"
            "52045812530370454061800005802VN5910PHUONG CAC6005HANOI62110307NPS686963047C1B"
        ),
        {
            "service": "QRPUSH",
            "merchant_name": "PHUONG CAC",
            "merchant_city": "HANOI",
            "additional": {"03": "NPS6869"},
            "purpose": None,
        },
        "payment at a merchant (github trantuan94/vietqrjs 3c66284, tests)",
    ),
    (
        (
            "00020101021138500010A000000727012200069704160108123456780206QRCASH"
            "5204601153037045802VN5912NGUYEN VAN A6006HA NOI"
            "6237052120190109155714228384707080000111163049CE4"
        ),
        {
            "service": "QRCASH",
            "additional": {"05": "201901091557142283847", "07": "00001111"},
        },
        "cash at an ATM (github trantuan94/vietqrjs 3c66284, README)",
    ),
    (
        (
            "00020101021138570010A000000727012700069704220113VQRQADKQM47680208QRIBFTTA"
            "53037045802VN62150107NPS686908006304FAFE"
        ),
        {"purpose": "", "additional": {"01": "NPS6869", "08": ""}},
        "MB, a purpose of length zero (a code seen in use)",
    ),
    (
        (
            "00020101021238600010A000000727013000069704460116380020013822101202"
            "08QRIBFTTA530370454061000005802VN62320828TT STANDEE NGUYEN THI NGUYET6304CAC6"
        ),
        {"bin": "970446", "purpose": "TT STANDEE NGUYEN THI NGUYET"},
        "Co-opBank, a purpose of 28 characters (a code seen in use)",
    ),
    (
        (
            "00020101021138620010A00000072701320006970454011899MM24011M348750800208QRIBFTTA"
            "53037045802VN62190515MOMOW2W3487508080030466304EBC8"
        ),
        {"account": "99MM24011M34875080", "additional": {"05": "MOMOW2W34875080"}},
        "MoMo, an unreserved object 80 (github nguyenthao1988/VietQRHelper 1839710, README)",
    ),
    (
        (
            "00020101021238500010A000000727012200069704030108123456780206QRCASH52046011"
            "53037045915NGUYEN HUU HUAN6005HANOI6237052120190109155714228384707080000111163041028"
        ),
        {"service": "QRCASH", "merchant_name": "NGUYEN HUU HUAN"},
        "no country (github trantuan94/vietqrjs 3c66284, tests)",
    ),
]

# (payload, code of the error, what is wrong, where it was published)
INVALID: list[tuple[str, str, str]] = [
    (
        (
            "00020101021138570010A00000072701270006970403011200110123456780208QRIBFTTA"
            "53037045802VN6304F4E5"
        ),
        "vietqr_malformed",
        f"{PDF} §6.1.1: a length is misprinted, the checksum fits the misprint",
    ),
    (
        (
            "00020101021138600010A00000072701300006970403011697040311012345670208QRIBFTTC"
            "53037045802VN6304A203"
        ),
        "vietqr_crc_mismatch",
        f"{PDF} §6.1.4, heading: the checksum of another code",
    ),
    (
        (
            "00020101021126280010A0000007750110010531314453037045408210900005802VN"
            "5910CELLPHONES62600312CPSHN ONLINE0517021908061613127850705ONLHN0810CellphoneS63047685"
        ),
        "vietqr_other_scheme",
        "VNPay (github cuongjpitdnu/vietqr-pay 9053f3c, README)",
    ),
    (
        (
            "00020101021253037045802VN5915NGUYEN HUU HUAN6005HANOI"
            "62370521201901091557142283847070800001111630447BE"
        ),
        "vietqr_other_scheme",
        "no scheme at all (github trantuan94/vietqrjs 3c66284, tests)",
    ),
    (
        (
            "00020101021238550010A000000727012500069704230111012345678900208QRIBFTTA"
            "530370454061800005802VN62260109HD01234560809Xin chào6304A240"
        ),
        "vietqr_malformed",
        "lengths in bytes, with accents (github han48/mr4-lc.vietqr 60596e9, README)",
    ),
    (
        (
            "00020101021238540010A00000072701240006970422011001234567890208QRIBFTTA"
            "530370454061000005802VN63041D8E"
        ),
        "vietqr_crc_mismatch",
        "github binhnguyenduc/vietqr-ts ec22bcb, tests",
    ),
]


def read_shared(name: str) -> list[dict[str, Any]]:
    """Read one of the shared lists, or skip the test where they are not."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} lies outside the repository and is not here")
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return rows
