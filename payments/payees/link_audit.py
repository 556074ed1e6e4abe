"""The audit row of each change of a payee's account."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.masking import mask_tail
from payments.payees.models import PayeeAccount, ReceivingAccount

NEWS_READ: Final = "account.news_read"  # by one person, for themselves; queries look for it


def record_link(
    session: AsyncSession,
    link: PayeeAccount,
    account: ReceivingAccount,
    actor: Actor,
    action: str,
    now: datetime,
    *,
    before: str | None,
    reason: str | None = None,
    named_bank: str | None = None,
) -> None:
    """Write one change of a link to the audit log; numbers are masked."""
    after: dict[str, object] = {
        "status": link.status,
        "payee_id": str(link.payee_id),
        "bin": account.bin,
        # What the payee's codes name; a virtual account hides the account behind it.
        "account": mask_tail(link.virtual_account or account.account_number),
    }
    if link.virtual_account is not None:
        after["main_account"] = mask_tail(account.account_number)
    if named_bank is not None:
        after["named_bank"] = named_bank
    record_change(
        session,
        org_id=link.org_id,
        actor=actor,
        action=action,
        object_kind="account_link",
        object_id=link.id,
        before=None if before is None else {"status": before},
        after=after,
        reason=reason,
        now=now,
    )
