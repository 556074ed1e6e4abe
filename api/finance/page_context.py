"""Page context for finance: who is there, for which organisation, and the menu."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from fastapi import Depends, Query, Request

from api.http.deps import CurrentCaller, Now
from api.pages.staff_context import FINANCE, MANAGE, MenuItem, StaffContext, check_staff
from api.services import read_services
from core.masking import mask_tail
from identity.people.rules import SEES_WHOLE, Permission
from payments.payees.views import AccountName
from payments.vietqr.banks import name_bank

# In the order of the menu: surface, path, name in [nav] of words/*/finance.toml, icon, who sees it.
MENU: Final = (
    (FINANCE, "/statements", "statements", "bank", Permission.LEDGER_READ),
    (FINANCE, "/lines", "lines", "list", Permission.LEDGER_READ),
    (FINANCE, "/search", "search", "search", Permission.LEDGER_READ),
    (MANAGE, "/breaks", "breaks", "warning", Permission.BREAKS_READ),
    (MANAGE, "/refunds", "refunds", "replay", Permission.BILLS_READ),
    (MANAGE, "", "manage", "back", Permission.LEDGER_READ),
)
Before = Annotated[str | None, Query(max_length=40)]


@dataclass(frozen=True, kw_only=True)
class FinanceContext(StaffContext):
    """Who looks after an organisation's money, in one request."""

    root: ClassVar[str] = FINANCE
    words: ClassVar[str] = "finance"

    def list_menu(self, here: str) -> list[MenuItem]:
        """List the pages that this person may see, and the managers' pages that belong to them."""
        return [
            MenuItem(
                name=self.say(f"nav.{name}"),
                icon=icon,
                path=self.address(root, path),
                is_here=name == here,
            )
            for root, path, name, icon, permission in MENU
            if self.may(permission)
        ]

    def name_account(self, account: AccountName) -> str:
        """Say which account it is; its number whole for who handles accounts, else its end."""
        is_whole = any(self.may(one) for one in SEES_WHOLE)
        number = account.account_number if is_whole else mask_tail(account.account_number)
        return f"{name_bank(account.bin)} {number} · {account.holder_name}"


async def open_finance_context(request: Request, caller: CurrentCaller, now: Now) -> FinanceContext:
    """Let those in who look after the money of a whole organisation.

    Raises:
        Forbidden: a stall's own people, attendants, the city's viewers, and machines.
    """
    check_staff(caller, Permission.LEDGER_READ, "These pages are for an organisation's finance.")
    return FinanceContext(request=request, caller=caller, services=read_services(request), now=now)


TheFinance = Annotated[FinanceContext, Depends(open_finance_context)]
