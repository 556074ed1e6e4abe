"""Codes of VietQR direct: a transfer to the payee's own account, reported by its provider.

This rail needs nobody's consent beforehand, so the code follows from the bill. A rail with orders
of its own brings its own code (payments.rails).
"""

from typing import Final

from payments.vietqr import build, transfer_code
from payments.vietqr.crc import crc16
from payments.vietqr.tlv import read_tlv, write_tlv

NAME: Final = "vietqr"


def write_bill_code(*, bin_: str, account: str, amount_vnd: int | None, reference: str) -> str:
    """Write the code that pays a bill: its reference in the memo, its amount locked if it has one.

    Args:
        account: the number that the code names, the virtual account where there is one.
        amount_vnd: what is still owed, in đồng; None leaves it to the payer.
    """
    return build(
        transfer_code(
            bin=bin_,
            account=account,
            amount_vnd=amount_vnd,
            purpose=reference,
            is_dynamic=amount_vnd is not None,
        )
    )


def ask_for_rest(payload: str, *, amount_vnd: int) -> str:
    """Return a rail's code with what is still owed as its amount; all else as its maker wrote it.

    Raises:
        VietQrError: the payload is no code; it was read before it was stored.
    """
    values = read_tlv(payload)
    if values.get("54") == str(amount_vnd):
        return payload
    values["54"] = str(amount_vnd)
    del values["63"]
    body = "".join(write_tlv(tag, values[tag]) for tag in sorted(values)) + "6304"
    return body + crc16(body.encode())


def write_printed_code(*, bin_: str, account: str, amount_vnd: int | None) -> str:
    """Write the code that hangs at a stall: static, without a reference, at will with a price."""
    return build(
        transfer_code(
            bin=bin_, account=account, amount_vnd=amount_vnd, purpose=None, is_dynamic=False
        )
    )
