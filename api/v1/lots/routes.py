"""A lot's gate: entries. Declared here, served past the router (entries_asgi.py)."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from api.http.deps import requires
from api.http.errors import may_answer
from api.http.responses import answer_json
from api.v1.lots.entries import ENTRY_BYTES_MAX, take_entry
from api.v1.lots.schemas import EntryCreate, EntryRead
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.sessions.errors import LotOrClassNotFound

Gate = Annotated[Caller, requires(Permission.PARKING_GATE)]


def _describe_body(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Describe a body that msgspec reads, in OpenAPI's words, whole in one place."""
    (_,), parts = msgspec.json.schema_components([kind], ref_template="#/{name}")
    schema = _put_together(parts[kind.__name__], parts)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _put_together(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _put_together(parts[schema["$ref"].removeprefix("#/")], parts)
        return {name: _put_together(one, parts) for name, one in schema.items()}
    if isinstance(schema, list):
        return [_put_together(one, parts) for one in schema]
    return schema


class EntryRoute(APIRoute):
    """Serves an entry as the middleware does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a request."""

        async def answer(request: Request) -> Response:
            lot = request.path_params["lot_id"]
            status, entry = await take_entry(request, lot, await request.body())
            return answer_json(entry, status=status)

        return answer


router = APIRouter(prefix="/v1/lots", tags=["parking"], route_class=EntryRoute)

OPENED: Final = {"description": "The vehicle came in: the session is open.", "model": EntryRead}
ANSWERED: Final = {
    "description": "It was opened before (`repeat`), or it was not: `already_inside`, `full`, or"
    " `taken`, the id being another entry's.",
    "model": EntryRead,
}


@router.post(
    "/{lot_id}/entries",
    status_code=201,
    responses={**may_answer(LotOrClassNotFound), 201: OPENED, 200: ANSWERED},
    openapi_extra=_describe_body(EntryCreate),
    max_body_size=ENTRY_BYTES_MAX,
)
async def enter(lot_id: UUID, caller: Gate) -> EntryRead:
    """Let a vehicle in. Answered after the commit; the id makes it repeatable."""
    raise AssertionError("served by EntryRoute")
