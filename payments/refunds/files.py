"""Payment files: approved refunds of one account, instructed together by what its bank reads.

A file is written once and kept: the same id answers the same bytes. A refund is in at most one.
"""

import asyncio
import io
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final
from uuid import UUID

import xlsxwriter
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import HANOI
from payments.bills import settling
from payments.payees.rules import HeldBy
from payments.refunds import queries
from payments.refunds.errors import (
    RefundFileEmpty,
    RefundFileIdTaken,
    RefundLayoutUnknown,
)
from payments.refunds.models import Refund, RefundFile
from payments.refunds.rules import REFUNDABLE, Step, write_memo
from payments.refunds.steps import StepTaken, take_step
from payments.vietqr.banks import find_bank

REFUNDS_MAX: Final = 500  # of one file; the rest goes into the next
FACTS: Final = frozenset({"number", "account", "name", "bank", "bin", "amount_vnd", "memo"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The columns of a payment file."""

    sheet: str
    columns: tuple[tuple[str, str], ...]  # (head, one of FACTS)


async def make_file(
    session: AsyncSession,
    org_id: UUID,
    file_id: UUID,
    *,
    account_id: UUID,
    layout: str,
    actor: Actor,
    now: datetime,
) -> RefundFile:
    """Instruct what is approved of an account, at most 500, and write it into one file.

    Args:
        file_id: made by the client: the same again answers the first.

    Raises:
        RefundLayoutUnknown
        RefundFileIdTaken: the id came with another account or layout before.
        RefundFileEmpty: nothing of the account waits to be instructed.
    """
    assert actor.id is not None
    columns = get_layout(layout)
    request_hash = sha256(repr((account_id, layout)).encode()).digest()
    if (known := await _find_known(session, org_id, file_id, request_hash)) is not None:
        return known
    due = await queries.find_approved(session, org_id, account_id, limit=REFUNDS_MAX)
    bill_ids = [bill_id for _, bill_id in due if bill_id is not None]
    bills = await settling.lock_bills(session, org_id, bill_ids)  # at once, in the order of ids
    refunds = [  # one whose bill is owed the rest by now waits for a person
        refund
        for refund in await queries.lock_approved(session, org_id, [one for one, _ in due])
        if refund.payment_id is None
        or refund.bill_id is None
        or bills[refund.bill_id].status in REFUNDABLE
    ]
    if (known := await _find_known(session, org_id, file_id, request_hash)) is not None:
        return known  # it came while we waited
    if not refunds:
        raise RefundFileEmpty
    content = await asyncio.to_thread(write_file, columns, refunds, now=now)
    made = RefundFile(
        org_id=org_id,
        id=file_id,
        layout=layout,
        receiving_account_id=account_id,
        refunds=len(refunds),
        amount_vnd=sum(refund.amount_vnd for refund in refunds),
        content=content,
        content_hash=sha256(content).digest(),
        request_hash=request_hash,
        created_by=actor.id,
        created_at=now,
    )
    session.add(made)
    try:
        await session.flush()
    except IntegrityError as error:  # the same id for another account came while we wrote
        if "pk_refund_files" not in str(error.orig):
            raise
        raise RefundFileIdTaken(file_id) from error
    taken = StepTaken(step=Step.INSTRUCT, acts_for=HeldBy.ORGANISATION, file_id=file_id)
    for refund in refunds:
        await take_step(session, org_id, refund.id, taken, actor=actor, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="refund_file.made",
        object_kind="refund_file",
        object_id=file_id,
        after={"refund_count": made.refunds, "amount_vnd": made.amount_vnd},
        now=now,
    )
    return made


def get_layout(name: str) -> Layout:
    """Return the columns that a name stands for.

    Raises:
        RefundLayoutUnknown
    """
    found = list_layouts().get(name)
    if found is None:
        raise RefundLayoutUnknown(name)
    return found


@cache
def list_layouts() -> dict[str, Layout]:
    """Return all layouts by their names (layouts.toml)."""
    text = resources.files("payments.refunds").joinpath("layouts.toml").read_text("utf-8")
    layouts = {}
    for name, table in tomllib.loads(text).items():
        columns = tuple((head, fact) for head, fact in table["columns"])
        assert {fact for _, fact in columns} <= FACTS, name
        layouts[name] = Layout(sheet=table["sheet"], columns=columns)
    return layouts


def write_file(layout: Layout, refunds: Sequence[Refund], *, now: datetime) -> bytes:
    """Write an XLSX file whose cells are texts: what begins with "=" is no formula."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"created": now.astimezone(HANOI).replace(tzinfo=None)})
    sheet = book.add_worksheet(layout.sheet)
    for column, (head, _) in enumerate(layout.columns):
        sheet.write_string(0, column, head)
    for row, refund in enumerate(refunds, 1):
        facts = _describe(refund, row)
        for column, (_, fact) in enumerate(layout.columns):
            sheet.write_string(row, column, facts[fact])
    book.close()
    return out.getvalue()


def _describe(refund: Refund, number: int) -> dict[str, str]:
    bank = refund.destination_bank or ""
    known = find_bank(bank)
    return {
        "number": str(number),
        "account": refund.destination_account or "",
        "name": refund.destination_name or "",
        "bank": bank if known is None else known.short_name,
        "bin": "" if known is None else bank,
        "amount_vnd": str(refund.amount_vnd),
        "memo": write_memo(refund.id),  # it names the refund on a statement
    }


async def _find_known(
    session: AsyncSession, org_id: UUID, file_id: UUID, request_hash: bytes
) -> RefundFile | None:
    known = await queries.find_file(session, org_id, file_id)
    if known is not None and known.request_hash != request_hash:
        raise RefundFileIdTaken(file_id)
    return known
