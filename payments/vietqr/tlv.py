"""Tag, length, value: how a VietQR payload and its templates are put together."""

from typing import Final

from payments.vietqr.errors import VietQrMalformed, VietQrRepeatedField

# Also tells digits from other characters: "+1" and "²" are not keys.
NUMBER_OF: Final = {f"{n:02d}": n for n in range(100)}
DIGITS_OF: Final = tuple(NUMBER_OF)

VALUE_CHARS_MAX: Final = 99


def read_tlv(text: str, path: str = "") -> dict[str, str]:
    """Split one template into its values by tag, in the order in which they stand.

    Args:
        text: the template; lengths count characters (NAPAS), a length of 00 is read.
        path: where the template stands, such as "38.01.", for the error's words only.

    Raises:
        VietQrMalformed: a tag or length is not two digits, or a value is cut off.
        VietQrRepeatedField: a tag stands twice.
    """
    values: dict[str, str] = {}
    at, end = 0, len(text)
    while at < end:
        tag = text[at : at + 2]
        length = NUMBER_OF.get(text[at + 2 : at + 4])
        if length is None or tag not in NUMBER_OF:
            where = path.rstrip(".") or "the code"
            raise VietQrMalformed(f"No tag and length at character {at} of {where}.", at=at)
        value_at = at + 4
        at = value_at + length
        if at > end:
            detail = (
                f"Field {path}{tag} should have {length} characters, {end - value_at} are left."
            )
            raise VietQrMalformed(detail, at=value_at)
        if tag in values:
            raise VietQrRepeatedField(f"{path}{tag}", "stands twice.")
        values[tag] = text[value_at:at]
    return values


def write_tlv(tag: str, value: str) -> str:
    """Write one value with its tag and length; the caller has checked both."""
    assert len(value) <= VALUE_CHARS_MAX
    return f"{tag}{DIGITS_OF[len(value)]}{value}"
