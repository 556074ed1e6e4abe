"""The bank list and the links that open bank apps."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from payments.vietqr.banks import (
    PARENT_BANKS,
    find_bank,
    find_bins,
    is_same_bank,
    list_banks,
    list_deep_links,
)

SHARED_BANKS = Path(__file__).parents[3] / "../shared/data/banks.json"


@pytest.mark.parametrize(
    ("number", "short_name"),
    [
        ("970436", "Vietcombank"),
        ("970415", "VietinBank"),
        ("546034", "CAKE by VPBank"),
        ("971025", "MoMo"),
        ("458761", "HSBC Vietnam"),
    ],
)
def test_a_bank_is_found_by_its_bin(number: str, short_name: str) -> None:
    bank = find_bank(number)

    assert bank is not None
    assert (bank.bin, bank.short_name) == (number, short_name)


@pytest.mark.parametrize("number", ["", "000000", "VCB", "97043", "９７０４３６"])
def test_what_is_no_bin_finds_no_bank(number: str) -> None:
    assert find_bank(number) is None


@pytest.mark.parametrize(
    ("number", "present"), [("970406", "Vikki Bank"), ("970414", "MBV"), ("970449", "LPBank")]
)
def test_a_renamed_bank_is_found_under_its_present_name(number: str, present: str) -> None:
    bank = find_bank(number)

    assert bank is not None
    assert (bank.short_name, bank.deprecated) == (present, False)


@pytest.mark.parametrize(
    ("name", "bins"),
    [
        ("MBBank", {"970422"}),
        ("MB", {"970422"}),
        ("vietcombank", {"970436"}),
        ("NGÂN HÀNG TMCP NGOẠI THƯƠNG VIỆT NAM", {"970436"}),
        ("ICB", {"970415"}),
        ("LienVietPostBank", {"970449"}),
        ("Ng\u00e2n h\u00e0ng TMCP Qu\u00e2n \u00d0\u1ed9i", {"970422"}),
        ("Ng\u00e2n h\u00e0ng TMCP Qu\u00e2n \u0189\u1ed9i", {"970422"}),
        ("BVB", {"970438", "970454"}),
        ("Ngân hàng Mặt Trăng", set()),
        ("", set()),
        (" - ", set()),
    ],
)
def test_a_bank_is_found_by_any_of_its_names(name: str, bins: set[str]) -> None:
    assert find_bins(name) == bins


def test_every_bank_is_found_by_its_own_names() -> None:
    for bank in list_banks():
        for name in (bank.code, bank.short_name, bank.name):
            assert bank.bin in find_bins(name)


@pytest.mark.parametrize(
    ("brand", "parent"),
    [
        ("963388", "970454"),  # Timo, BVBank
        ("546034", "970432"),  # Cake, VPBank
        ("546035", "970432"),  # Ubank, VPBank
        ("963369", "970448"),  # Liobank, OCB
        ("422589", "970459"),  # CIMB, both
    ],
)
def test_a_brand_is_the_bank_that_it_belongs_to_and_the_reverse(brand: str, parent: str) -> None:
    assert is_same_bank(brand, parent)
    assert is_same_bank(parent, brand)
    assert is_same_bank(brand, brand)


def test_two_brands_of_one_bank_and_two_banks_are_not_the_same() -> None:
    assert not is_same_bank("546034", "546035")
    assert not is_same_bank("963388", "970432")
    assert not is_same_bank("970454", "970432")


def test_every_brand_and_its_bank_are_in_the_list() -> None:
    for brand, parent in PARENT_BANKS.items():
        assert find_bank(brand) is not None
        assert find_bank(parent) is not None
        assert parent not in PARENT_BANKS  # one step is enough


def test_every_bank_stands_once_with_six_digits_and_names() -> None:
    banks = list_banks()

    assert len(banks) == 71
    assert len({bank.bin for bank in banks}) == 71
    assert all(bank.bin.isdigit() and len(bank.bin) == 6 for bank in banks)
    assert all(bank.name and bank.short_name and bank.code for bank in banks)


def test_the_list_says_what_the_shared_one_says() -> None:
    if not SHARED_BANKS.exists():
        pytest.skip("banks.json lies outside the repository and is not here")
    rows = json.loads(SHARED_BANKS.read_text("utf-8"))["banks"]
    present = {row["bin"]: row for row in rows if row["bin"] and not row["deprecated"]}
    present["970406"] = next(row for row in rows if row["key"] == "vikki")
    for number, row in present.items():
        bank = find_bank(number)
        assert bank is not None
        facts = (bank.code, bank.name, bank.swift, bank.transfer_supported, bank.lookup_supported)
        wanted = ("code", "name", "swift_code", "transfer_supported", "lookup_supported")
        assert facts == tuple(row[key] for key in wanted)


def test_five_apps_fill_the_transfer_in_and_come_first() -> None:
    links = list_deep_links(
        bin="970415",
        account="22102025",
        amount_vnd=2_000,
        purpose="PPHNDX CJF3X84",
        name="PHO LAN & CO",
        return_url="https://pay.example/p/1?a=b",
    )

    filled = [link for link in links if link.is_prefilled]
    assert {link.bank.app for link in filled} == {"ocb", "acb", "bidv", "icb", "mb"}
    assert links[:5] == tuple(filled)
    url = next(link.url for link in filled if link.bank.app == "mb")
    assert url.startswith("https://dl.vietqr.io/pay?app=mb&ba=22102025@icb&am=2000&tn=PPHNDX%20CJF")
    assert parse_qs(urlsplit(url).query) == {
        "app": ["mb"],
        "ba": ["22102025@icb"],
        "am": ["2000"],
        "tn": ["PPHNDX CJF3X84"],
        "bn": ["PHO LAN & CO"],
        "url": ["https://pay.example/p/1?a=b"],
    }


def test_an_app_that_only_opens_learns_nothing_of_the_payment() -> None:
    links = list_deep_links(bin="970415", account="22102025", amount_vnd=2_000)

    assert {link.url for link in links if not link.is_prefilled} >= {
        "https://dl.vietqr.io/pay?app=vcb",
        "https://dl.vietqr.io/pay?app=tcb",
    }


def test_a_receiving_bank_without_a_name_in_links_fills_nothing_in() -> None:
    assert not any(link.is_prefilled for link in list_deep_links(bin="970409", account="1"))
