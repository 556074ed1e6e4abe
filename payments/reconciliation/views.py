"""Read models of lines: lists, and one line with what explains it side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.reconciliation import queries_views as queries
from payments.reconciliation.errors import StatementLineNotFound
from payments.reconciliation.queries_views import list_lines

__all__ = ["LineEvidence", "get_evidence", "list_lines"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LineEvidence:
    """A line, what explains it or did, and what it might be."""

    line: Mapping[str, Any]
    proofs: Sequence[Mapping[str, Any]]
    suggestions: Sequence[Mapping[str, Any]]


async def get_evidence(session: AsyncSession, org_id: UUID, line_id: UUID) -> LineEvidence:
    """Return a line with its evidence; of one that is open, with what it might be.

    Raises:
        StatementLineNotFound
    """
    line = await queries.find_line(session, org_id, line_id)
    if line is None:
        raise StatementLineNotFound(line_id)
    is_searched = line["open_vnd"] > 0 and line["direction"] == "in"
    return LineEvidence(
        line=line,
        proofs=await queries.list_evidence(session, org_id, line_id),
        suggestions=await queries.list_suggestions(session, org_id, line) if is_searched else (),
    )
