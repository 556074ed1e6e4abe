"""The checksum at the end of every VietQR payload."""

from binascii import crc_hqx


def crc16(payload: bytes) -> str:
    """Return the checksum of a VietQR payload.

    Args:
        payload: bytes from the first tag up to and including b"6304",
            the tag and length of the checksum itself.

    Returns:
        Exactly four upper-case hexadecimal digits.

    Raises:
        ValueError: the payload does not end in b"6304".

    Source: EMVCo QR Code Specification, Merchant-Presented Mode v1.1, data object 63
    (CRC-16 with polynomial 0x1021 and initial value 0xFFFF).
    """
    if not payload.endswith(b"6304"):
        raise ValueError(f"payload must end in b'6304', not {payload[-4:]!r}")
    return f"{crc_hqx(payload, 0xFFFF):04X}"
