"""First page of finance: statements, until there is a board of days."""

from fastapi import APIRouter
from starlette.responses import Response

from api.finance.page_context import TheFinance
from api.http.deps import requires
from identity.people.rules import Permission

router = APIRouter(prefix="/finance", include_in_schema=False)


@router.get("", dependencies=[requires(Permission.LEDGER_READ)])
async def show_home(finance: TheFinance) -> Response:
    """Send finance to what it works with."""
    return finance.redirect("/statements")
