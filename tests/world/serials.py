"""Numbers and codes that no other call in this run returned."""

from itertools import count, product

from payments.bills.references import ALPHABET

_serials = count(1)
_numbers = count(1)
_codes = ("".join(four) for four in product(ALPHABET, repeat=4))


def next_serial() -> int:
    """Return the serial of a new reference."""
    return next(_serials)


def next_number() -> int:
    """Return a number for a transaction, an order or an account."""
    return next(_numbers)


def next_code() -> str:
    """Return the code of a new organisation."""
    return next(_codes)
