"""The rail "VietQR direct": a transfer to the payee's own account, told by whoever reports on it.

A rail is one module: how a bill is to be paid, and what its payer is shown. This one needs nobody's
consent beforehand, so it writes the code and that is all.
"""

from typing import Final

from payments.vietqr import build, transfer_code

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


def write_printed_code(*, bin_: str, account: str, amount_vnd: int | None) -> str:
    """Write the code that hangs at a stall: static, without a reference, at will with a price."""
    return build(
        transfer_code(
            bin=bin_, account=account, amount_vnd=amount_vnd, purpose=None, is_dynamic=False
        )
    )
