"""Making of a payee's codes, as its account's page shows it: by payOS, or VietQR direct."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from api.manage.page_context import ManagerContext
from identity.people.rules import Permission
from payments.payees.models import PayeeAccount
from payments.rails.choice import read_rail_choice
from payments.vietqr import bill_codes


@dataclass(frozen=True, kw_only=True)
class RailPanel:
    """The part of templates/manage_account.html about codes, already worded."""

    rail: str  # "vietqr", "payos"
    word: str  # how codes are made now
    why: str  # what follows from it, and why it cannot be changed if it cannot
    choose_path: str  # "" where there is nothing to choose, or the reader may not
    direct: str  # what the form sends: "1" chooses VietQR direct
    button: str


async def read_rail_panel(
    tx: AsyncSession, manager: ManagerContext, link: PayeeAccount
) -> RailPanel | None:
    """Read how the payee's codes are made; None where this account is not the one in force."""
    choice = await read_rail_choice(tx, manager.org_id, link.payee_id)
    if choice.link_id != link.id:
        return None
    is_direct = choice.rail == bill_codes.NAME
    if not choice.order_rail:
        why, is_choice = "how_to_payos", False
    elif is_direct:
        why, is_choice = "payos_possible", True
    else:
        is_choice = choice.is_reported_otherwise
        why = "direct_possible" if is_choice else "direct_not_reported"
    may = manager.may(Permission.CALLBACK_ENDPOINTS_MANAGE)
    return RailPanel(
        rail=choice.rail,
        word=manager.say(f"account.rail.{choice.rail}"),
        why=manager.say(f"account.rail.{why}"),
        choose_path=manager.path(f"/accounts/{link.id}/rail") if is_choice and may else "",
        direct="" if is_direct else "1",
        button=manager.say("account.rail.to_payos" if is_direct else "account.rail.to_direct"),
    )
