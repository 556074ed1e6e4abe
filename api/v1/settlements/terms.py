"""Terms of settlement statements: commission, charges and shares of a payee."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.v1.settlements.schemas import (
    SettlementTermsList,
    SettlementTermsPut,
    SettlementTermsRead,
)
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from payments.payees.errors import PayeeNotFound
from payments.payees.queries import get_payee
from payments.settlements import queries_terms
from payments.settlements.errors import SettlementTermsChanged
from payments.settlements.terms import set_terms

router = APIRouter(prefix="/v1/payees", tags=["settlements"])

Reader = Annotated[Caller, requires(Permission.SETTLEMENTS_READ)]
Setter = Annotated[Caller, requires(Permission.SETTLEMENTS_TERMS)]
VERSIONS_SHOWN: Final = 50


@router.get("/{payee_id}/settlement-terms", responses=may_answer(PayeeNotFound))
async def read_terms(payee_id: UUID, caller: Reader, tx: Tx) -> SettlementTermsList:
    """Read what is agreed with a payee: the last 50 versions, newest first."""
    if not caller.sees(ScopeKind.PAYEE, payee_id):
        raise PayeeNotFound(payee_id)
    await get_payee(tx, caller.org_id, payee_id)
    found = await queries_terms.list_versions(tx, caller.org_id, payee_id, limit=VERSIONS_SHOWN)
    return SettlementTermsList(versions=[SettlementTermsRead.of(one) for one in found])


@router.put(
    "/{payee_id}/settlement-terms", responses=may_answer(PayeeNotFound, SettlementTermsChanged)
)
async def put_terms(
    payee_id: UUID, body: SettlementTermsPut, caller: Setter, tx: Tx, now: Now
) -> SettlementTermsRead:
    """Agree on other terms, for statements that begin on a day or later; the same again is one.

    Statements that were drafted before stay as they are: discard and draft them anew.
    """
    found = await set_terms(
        tx,
        caller.org_id,
        payee_id,
        body.terms(),
        from_day=body.from_day,
        seen_version=body.seen_version,
        actor=caller.actor,
        now=now,
    )
    return SettlementTermsRead.of(found)
