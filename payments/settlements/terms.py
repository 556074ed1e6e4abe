"""Setting what is agreed with a payee: commission, charges and shares, from a day on."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import InvalidRequest, Violation
from core.ids import new_id
from core.text import check_lines
from payments.payees.errors import PayeeNotFound
from payments.settlements import queries_terms as queries
from payments.settlements.errors import SettlementTermsChanged
from payments.settlements.rules import Terms, find_terms_fault
from payments.settlements.types import TermsFacts


async def set_terms(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    terms: Terms,
    *,
    from_day: date,
    seen_version: int,
    actor: Actor,
    now: datetime,
) -> TermsFacts:
    """Agree on other terms with a payee, for statements that begin on a day or later.

    What was drafted before stays as it is. The same terms again change nothing.

    Args:
        seen_version: of the newest terms that who sets them has seen; 0: none.

    Raises:
        InvalidRequest, PayeeNotFound
        SettlementTermsChanged: others were set since.
    """
    assert actor.id is not None
    check_lines(**{f"shares.{i}.name": share.name for i, share in enumerate(terms.shares)})
    if fault := find_terms_fault(terms):
        field, words = fault
        raise InvalidRequest(words, violations=[Violation(field=field, code=field, detail=words)])
    if not await queries.lock_payee(session, org_id, payee_id):
        raise PayeeNotFound(payee_id)
    newest = next(iter(await queries.list_versions(session, org_id, payee_id, limit=1)), None)
    if newest is not None and _is_same(newest, terms, from_day):
        return newest
    version = 0 if newest is None else newest.version
    if version != seen_version:
        raise SettlementTermsChanged(version)
    new = TermsFacts(
        id=new_id(),
        payee_id=payee_id,
        version=version + 1,
        from_day=from_day,
        terms=terms,
        set_by=actor.id,
        set_at=now,
    )
    await queries.insert_terms(session, org_id, new)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="settlement_terms.set",
        object_kind="payee",
        object_id=payee_id,
        before=None if newest is None else _describe(newest),
        after=_describe(new),
        now=now,
    )
    return new


def _is_same(newest: TermsFacts, terms: Terms, from_day: date) -> bool:
    return newest.from_day == from_day and (
        newest.terms.commission_bps,
        newest.terms.fixed_charge_vnd,
        dict(newest.terms.charge_bps),
        list(newest.terms.shares),
    ) == (
        terms.commission_bps,
        terms.fixed_charge_vnd,
        dict(terms.charge_bps),
        list(terms.shares),
    )


def _describe(facts: TermsFacts) -> dict[str, Any]:
    return {
        "version": facts.version,
        "from_day": facts.from_day.isoformat(),
        "commission_bps": facts.terms.commission_bps,
        "fixed_charge_vnd": facts.terms.fixed_charge_vnd,
        "charge_bps": dict(facts.terms.charge_bps),
        "shares": msgspec.to_builtins(facts.terms.shares),
    }
