"""VietQR codes: what they say, how they are written, read and drawn. See docs/vietqr.md."""

from payments.vietqr.build import build
from payments.vietqr.errors import (
    VietQrBadValue,
    VietQrCrcMismatch,
    VietQrError,
    VietQrMalformed,
    VietQrMissingField,
    VietQrNotText,
    VietQrNotWritable,
    VietQrOtherScheme,
    VietQrRepeatedField,
    VietQrTooLong,
)
from payments.vietqr.model import (
    AdditionalData,
    AlternateLanguage,
    PointOfInitiation,
    Service,
    VietQr,
)
from payments.vietqr.parse import parse
from payments.vietqr.transfers import ascii_text, transfer_code

__all__ = [
    "AdditionalData",
    "AlternateLanguage",
    "PointOfInitiation",
    "Service",
    "VietQr",
    "VietQrBadValue",
    "VietQrCrcMismatch",
    "VietQrError",
    "VietQrMalformed",
    "VietQrMissingField",
    "VietQrNotText",
    "VietQrNotWritable",
    "VietQrOtherScheme",
    "VietQrRepeatedField",
    "VietQrTooLong",
    "ascii_text",
    "build",
    "parse",
    "transfer_code",
]
