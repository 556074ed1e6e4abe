"""The banks and wallets that a VietQR can name, by BIN, and links that open their apps."""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final
from urllib.parse import quote, urlencode

from core.text import STROKED_D

LINK: Final = "https://dl.vietqr.io/pay"
# What other lists and providers call a bank, beside the names of banks.json. One name may be two
# banks': BVB is Bản Việt's code, and Bảo Việt's in others' lists.
ALSO_CALLED: Final = {
    "970400": ("SGICB",),
    "970403": ("STP",),
    "970405": ("VBA",),
    "970406": ("DOB",),
    "970408": ("GPB",),
    "970410": ("SCVN",),
    "970412": ("PVCB",),
    "970415": ("ICB",),
    "970419": ("NCB",),
    "970422": ("MB",),
    "970424": ("SHBVN",),
    "970438": ("BVB",),
    "970442": ("HLBVN",),
    "970444": ("CBB",),
    "970454": ("VCCB", "Viet Capital Bank"),
    "970457": ("WVN",),
}
# A bank's brand that has a BIN of its own, and the BIN of the bank that keeps its accounts: either
# may be named where the other is meant. Timo is BVBank's, Cake and Ubank are VPBank's, Liobank is
# OCB's, as their own public pages say (timo.vn, cake.vn, ubank.vn, liobank.vn) and as banks.json
# names them; CIMB has two BINs. Companies of their own are not here, though a bank owns them:
# TNEX Finance, MCredit, Vikki Bank.
PARENT_BANKS: Final = {
    "422589": "970459",
    "546034": "970432",
    "546035": "970432",
    "963369": "970448",
    "963388": "970454",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """One bank or wallet. The BIN names it; codes differ between lists and are for show only."""

    bin: str
    code: str
    name: str  # "Ngân hàng TMCP Á Châu"
    short_name: str  # "ACB"
    swift: str | None
    transfer_supported: bool | None  # its app pays by scanning a VietQR; None: not known
    receive_supported: bool | None  # it can be paid by VietQR; None: not known
    lookup_supported: bool | None  # apps show the holder's name of its accounts; None: not known
    app: str | None  # its app's name in deep links; None: no link is known
    app_prefilled_since: str | None  # since when its app fills in what a link says
    transfer_code: str | None  # its name as a receiver in deep links
    deprecated: bool  # an older name whose BIN another row has


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLink:
    """A link that opens one bank's app on the payer's phone."""

    bank: Bank  # the payer's bank
    url: str
    is_prefilled: bool  # False: the app only opens, so show account, amount and memo to copy


def find_bank(bin: str) -> Bank | None:  # noqa: A002  the field's name in the NAPAS profile
    """Return the bank that has this BIN today, None for a BIN that no list has."""
    return _banks_by_bin().get(bin)


def list_banks() -> tuple[Bank, ...]:
    """Return every bank once, under its present name, by short name."""
    return _banks_by_short_name()


def find_bins(name: str) -> frozenset[str]:
    """Return the BINs of the banks that are called so, empty for a name that nobody has.

    Case, marks, spaces and punctuation do not count: providers write "MBBank" for "MB Bank".
    """
    return _bins_by_name().get(_plain(name), frozenset())


def is_same_bank(bin_: str, other: str) -> bool:
    """Whether two BINs are one bank's: equal, or a brand's and its bank's; not of two brands."""
    return bin_ == other or PARENT_BANKS.get(bin_) == other or PARENT_BANKS.get(other) == bin_


def list_deep_links(
    *,
    bin: str,  # noqa: A002  the field's name in the NAPAS profile
    account: str,
    amount_vnd: int | None = None,
    purpose: str | None = None,
    name: str | None = None,
    return_url: str | None = None,
) -> tuple[DeepLink, ...]:
    """Return a link per bank app for paying this account, the apps that fill it in first.

    An app that is only opened gets a link without the payment's facts: they would serve nobody.

    Source: vietqr.io changelog (template; `bn` and `url` since 2.15 of 2025-10-31; the apps that
    fill in: OCB, ACB, BIDV, VietinBank, MB).
    """
    receiver = find_bank(bin)
    facts: dict[str, str] = {}
    if receiver is not None and receiver.transfer_code is not None:
        facts["ba"] = f"{account}@{receiver.transfer_code}"
        optional = (
            ("am", None if amount_vnd is None else str(amount_vnd)),
            ("tn", purpose),
            ("bn", name),
            ("url", return_url),
        )
        facts.update((key, value) for key, value in optional if value)
    links = [_link(bank, facts) for bank in list_banks() if bank.app is not None]
    return tuple(sorted(links, key=lambda link: not link.is_prefilled))


def _link(bank: Bank, facts: dict[str, str]) -> DeepLink:
    assert bank.app is not None
    is_prefilled = bank.app_prefilled_since is not None and bool(facts)
    query = {"app": bank.app, **(facts if is_prefilled else {})}
    return DeepLink(
        bank=bank,
        url=f"{LINK}?{urlencode(query, safe='@', quote_via=quote)}",
        is_prefilled=is_prefilled,
    )


@cache
def _read_banks() -> tuple[Bank, ...]:
    text = resources.files("payments.vietqr").joinpath("banks.json").read_text("utf-8")
    return tuple(Bank(**row) for row in json.loads(text)["banks"])


@cache
def _banks_by_bin() -> dict[str, Bank]:
    # An older name goes first, so that the present one takes its BIN over.
    return {bank.bin: bank for bank in sorted(_read_banks(), key=lambda bank: not bank.deprecated)}


@cache
def _bins_by_name() -> Mapping[str, frozenset[str]]:
    bins: dict[str, set[str]] = defaultdict(set)
    for bank in _read_banks():
        own = (bank.code, bank.name, bank.short_name, bank.swift, bank.transfer_code)
        for name in (*own, *ALSO_CALLED.get(bank.bin, ())):
            if name is not None:
                bins[_plain(name)].add(bank.bin)
    return {name: frozenset(found) for name, found in bins.items()}


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold().translate(STROKED_D))
    return "".join(char for char in decomposed if char.isalnum())


@cache
def _banks_by_short_name() -> tuple[Bank, ...]:
    return tuple(sorted(_banks_by_bin().values(), key=lambda bank: bank.short_name.casefold()))


def name_bank(bin_: str) -> str:
    """Return a bank's short name, or its BIN where the list has none."""
    bank = find_bank(bin_)
    return bank.short_name if bank else bin_
