"""The form that proposes an account: what it holds, how it is read, and its mistakes."""

from typing import Final
from uuid import UUID

from api.manage.page_context import ManagerContext
from payments.payees.errors import BadAccount
from payments.payees.rules import check_account

# Where on the form a part of the account was typed, and the words for what is wrong with it.
FIELDS: Final = {
    "bin": "bin",
    "account_number": "number",
    "virtual_account": "virtual",
    "holder_name": "holder",
}
WORDS: Final = {
    "unknown_bank": "bank_needed",
    "bad_number": "bad_account",
    "bad_holder": "bad_holder",
}
EMPTY_FORM: Final = {"payee": "", "bin": "", "number": "", "virtual": "", "holder": ""}


def read_id(typed: str) -> UUID | None:
    """Read the id of the chosen payee; None where none was chosen."""
    try:
        return UUID(typed)
    except ValueError:
        return None


def find_faults(
    manager: ManagerContext, form: dict[str, str], payee_id: UUID | None
) -> dict[str, str]:
    """Say beside each field of the form what no bank could have given."""
    errors = {} if payee_id is not None else {"payee": manager.say("error.payee_needed")}
    try:
        check_account(
            bin_=form["bin"],
            account_number=form["number"],
            virtual_account=form["virtual"] or None,
            holder_name=form["holder"],
        )
    except BadAccount as error:
        for fault in error.violations:
            errors[FIELDS[fault.field]] = manager.say(f"error.{WORDS[fault.code]}")
    return errors
