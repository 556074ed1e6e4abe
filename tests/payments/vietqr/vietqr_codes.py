"""Any code that our profile can write, for property tests."""

from hypothesis import strategies as st

from core.money import TRANSFER_VND_MAX
from payments.vietqr import (
    AdditionalData,
    AlternateLanguage,
    PointOfInitiation,
    Service,
    VietQr,
)

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
ALNUM = "".join(c for c in PRINTABLE if c.isalnum())


def text(chars_max: int, alphabet: str = PRINTABLE) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=1, max_size=chars_max)


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


def others(tags: list[int], most: int, chars_max: int) -> st.SearchStrategy:
    return st.dictionaries(
        st.sampled_from([f"{tag:02d}" for tag in tags]), text(chars_max), max_size=most
    ).map(lambda values: tuple(sorted(values.items())))


def fits(template: AdditionalData | AlternateLanguage) -> bool:
    """Whether a template has one to 99 characters."""
    names = [name for name in template.__slots__ if name != "others"]
    values = [value for name in names if (value := getattr(template, name)) is not None]
    values += [value for _, value in template.others]
    return 1 <= sum(4 + len(value) for value in values) <= 99


additional = st.builds(
    AdditionalData,
    bill_number=maybe(text(25)),
    mobile=maybe(text(12)),
    store_label=maybe(text(12)),
    loyalty_number=maybe(text(12)),
    reference_label=maybe(text(12)),
    customer_label=maybe(text(12)),
    terminal_label=maybe(text(12)),
    purpose=maybe(text(19)),
    consumer_request=maybe(st.sampled_from(["A", "M", "E", "AM", "ME", "AME", "EMA"])),
    others=others(list(range(10, 100)), 2, 20),
).filter(fits)

language = st.builds(
    AlternateLanguage,
    language=maybe(st.sampled_from(["en", "VI"])),
    merchant_name=maybe(text(25)),
    merchant_city=maybe(text(15)),
    others=others(list(range(3, 100)), 1, 20),
).filter(fits)

tips = st.sampled_from(
    [(None, None, None), ("01", None, None), ("02", 5_000, None), ("03", None, "5.0")]
)


@st.composite
def codes(draw: st.DrawFn) -> VietQr:
    """Draw a code; what is dynamic has an amount."""
    point = draw(st.sampled_from(PointOfInitiation))
    amounts = st.integers(1, TRANSFER_VND_MAX)
    tip_indicator, tip_fixed_vnd, tip_percent = draw(tips)
    return VietQr(
        point_of_initiation=point,
        bin=draw(text(6, "0123456789").map(lambda digits: digits.zfill(6))),
        account=draw(text(19, ALNUM)),
        service=draw(st.sampled_from(Service)),
        amount_vnd=draw(amounts if point is PointOfInitiation.DYNAMIC else maybe(amounts)),
        additional=draw(maybe(additional)),
        merchant_category=draw(maybe(st.sampled_from(["5812", "7523"]))),
        tip_indicator=tip_indicator,
        tip_fixed_vnd=tip_fixed_vnd,
        tip_percent=tip_percent,
        merchant_name=draw(maybe(text(25))),
        merchant_city=draw(maybe(text(15))),
        postal_code=draw(maybe(text(10))),
        alternate_language=draw(maybe(language)),
        others=draw(others([*range(2, 38), *range(39, 52), *range(65, 100)], 2, 20)),
    )
