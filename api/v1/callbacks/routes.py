"""Callbacks of banks and providers: the answer has their form and comes after the commit."""

from fastapi import APIRouter, Request, Response

from api.http.deps import public
from api.v1.callbacks.callbacks_asgi import take_callback

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
    request: Request, provider: str, address: str, subpath: str = ""
) -> Response:
    """Verify, store, commit, acknowledge; processing follows at once in another transaction."""
    answer = await take_callback(
        request.scope, request.receive, provider=provider, address=address, subpath=subpath
    )
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type)
