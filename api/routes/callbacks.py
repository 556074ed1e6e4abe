"""Where banks and providers call. The answer is theirs in form, and comes after the commit."""

from fastapi import APIRouter, Request, Response

from api.deps import Now, public
from core.errors import BodyTooLarge, RouteNotFound
from payments.callbacks.intake import Intake
from payments.callbacks.providers.contract import BODY_BYTES_MAX

router = APIRouter(prefix="/v1/callbacks", tags=["callbacks"], dependencies=[public])

DESCRIPTION = """\
Each provider is set up with an address of its own; docs/callbacks.md says how. The body and the
answer are in the provider's own form, and so is the signature: this route takes whatever that
provider's documents say. An unknown address is answered like a wrong signature.
"""


@router.post(
    "/{provider}/{address}",
    description=DESCRIPTION,
    summary="Take a provider's callback",
    response_class=Response,
)
@router.post("/{provider}/{address}/{subpath:path}", include_in_schema=False)
async def receive_callback(
    request: Request, provider: str, address: str, now: Now, subpath: str = ""
) -> Response:
    """Verify, store, commit, acknowledge; settling follows at once in another transaction."""
    intake: Intake = request.app.state.intake
    body = await _read_body(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    answer = await intake.receive(
        provider, address[:64], subpath[:64], headers=headers, body=body, now=now
    )
    if answer is None:
        raise RouteNotFound(f"No provider is called {provider[:40]!r}.")
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type)


async def _read_body(request: Request) -> bytes:
    """Read at most the size that any provider may send; more is refused while it streams."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise BodyTooLarge(f"A callback has at most {BODY_BYTES_MAX:,} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)
