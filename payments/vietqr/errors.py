"""Errors of VietQR texts: one class, one stable code for each reason."""

from core.errors import HubError, Kind


class VietQrError(HubError):
    """Base of everything parse and build refuse; nothing else leaves them."""

    kind, code, title = Kind.INVALID, "vietqr_invalid", "Not a valid VietQR"


class VietQrTooLong(VietQrError):
    """The text is longer than any QR payload may be, or a value longer than its field."""

    code, title = "vietqr_too_long", "The VietQR is too long"


class VietQrNotText(VietQrError):
    """The bytes are not UTF-8, or the text holds control characters or half characters."""

    code, title = "vietqr_not_text", "The VietQR holds characters that no code may hold"


class VietQrMalformed(VietQrError):
    """Tags and lengths do not add up. `at` is the place in that template, counted from 0."""

    code, title = "vietqr_malformed", "The VietQR is cut off or garbled"

    def __init__(self, detail: str, *, at: int) -> None:
        super().__init__(detail)
        self.at = at


class VietQrCrcMismatch(VietQrError):
    """The checksum is not the one of this text: a character was changed or misread."""

    code, title = "vietqr_crc_mismatch", "The VietQR's checksum is wrong"

    def __init__(self, *, found: str, expected: str) -> None:
        super().__init__(f"The checksum is {found!r}, but this text has {expected!r}.")
        self.found = found
        self.expected = expected


class VietQrOtherScheme(VietQrError):
    """A sound code of another payment scheme, or NAPAS's data in a field that is not theirs.

    `guid` is the scheme that the code names, None if it names none.
    """

    code, title = "vietqr_other_scheme", "The code belongs to another payment scheme"

    def __init__(self, guid: str | None, *, field: str | None = None) -> None:
        super().__init__(_describe_scheme(guid, field))
        self.guid = guid


class VietQrFieldError(VietQrError):
    """Base of what is wrong with one field. `field` is its path, such as "62.08"."""

    code, title = "vietqr_bad_field", "A field of the VietQR is wrong"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"Field {field}: {detail}")
        self.field = field


class VietQrMissingField(VietQrFieldError):
    """A field without which nobody can be paid is not there."""

    code, title = "vietqr_missing_field", "The VietQR lacks a field"


class VietQrRepeatedField(VietQrFieldError):
    """The same tag twice: two readers could take different ones, so neither is taken."""

    code, title = "vietqr_repeated_field", "The VietQR has the same field twice"


class VietQrBadValue(VietQrFieldError):
    """A value has no meaning: an amount with a comma, a service nobody knows."""

    code, title = "vietqr_bad_value", "A value in the VietQR has no meaning"


class VietQrNotWritable(VietQrFieldError):
    """We read such a code but do not write it: some banks' apps would not take it."""

    code, title = "vietqr_not_writable", "The profile does not allow this value to be written"


def _describe_scheme(guid: str | None, field: str | None) -> str:
    if field is not None and field != "38":
        return f"NAPAS's data (A000000727) stand in field {field}; a VietQR has them in field 38."
    subject, has = ("Field 38", "has data") if field else ("The code", "is one")
    named = f"{has} of the scheme {guid!r}" if guid else "names no payment scheme"
    return f"{subject} {named}; only NAPAS (A000000727) is read."
