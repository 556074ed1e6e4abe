"""Photos: sent by a phone at a gate, and shown by links that end."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.http.deps import Now, TheDatabase, TheDirectory, ThePhotos, public, requires
from api.http.errors import may_answer
from api.http.fields import Read
from api.v1.lots.routes import check_own_lot
from core.errors import Busy
from core.tenancy import open_org_transaction
from identity.organisations.rules import ORG_CODE_PATTERN
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.photos.errors import PhotoNotFound, PhotoNotReadable
from parking.photos.rules import HASH_BYTES, PHOTO_BYTES_MAX, SIGNATURE_CHARS
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot

router = APIRouter(tags=["parking"])
shown = APIRouter(tags=["parking"])

AtGate = Annotated[Caller, requires(Permission.PARKING_GATE)]
JPEG: Final = "image/jpeg"
PICTURES: Final = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in (JPEG, "image/png", "image/webp")
        },
    }
}


class PhotoRead(Read):
    """A photo that is kept."""

    hash: Annotated[str, Query(description="SHA-256 of what is kept: name it in an entry.")]
    width: int
    height: int
    link: str


@router.post(
    "/v1/lots/{lot_id}/photos",
    status_code=201,
    responses=may_answer(LotNotFound, PhotoNotReadable, Busy),
    max_body_size=PHOTO_BYTES_MAX + 1,
    openapi_extra=PICTURES,
)
async def add_photo(
    lot_id: UUID,
    request: Request,
    caller: AtGate,
    database: TheDatabase,
    photos: ThePhotos,
    now: Now,
) -> PhotoRead:
    """Keep a photo: the body is a JPEG, PNG or WebP. The same photo again answers the same.

    It is written anew at most 1,280 pixels wide or high, without where and by what it was taken.
    """
    check_own_lot(caller, lot_id)
    async with open_org_transaction(database, caller.org_id) as session:
        await get_lot(session, caller.org_id, lot_id)
    sent = await request.body()
    picture = await photos.add(
        caller.org_id, lot_id, sent, taken_by=caller.id, is_at_gate=True, now=now
    )
    return PhotoRead(
        hash=picture.hash.hex(),
        width=picture.width,
        height=picture.height,
        link=photos.link(caller.org_code, caller.org_id, picture.hash, now=now),
    )


@shown.get(
    "/photos/{org}/{photo_hash}",
    dependencies=[public],
    response_class=Response,
    responses={
        **may_answer(PhotoNotFound),
        200: {"content": {JPEG: {"schema": {"type": "string", "format": "binary"}}}},
    },
)
async def show_photo(
    org: Annotated[str, Path(pattern=f"^{ORG_CODE_PATTERN}$")],
    photo_hash: Annotated[str, Path(min_length=2 * HASH_BYTES, max_length=2 * HASH_BYTES)],
    directory: TheDirectory,
    photos: ThePhotos,
    now: Now,
    until: Annotated[int, Query(ge=0, lt=10**10, description="Unix seconds.")],
    sig: Annotated[str, Query(min_length=SIGNATURE_CHARS, max_length=SIGNATURE_CHARS)],
) -> Response:
    """Show a photo to who holds a link of the last five minutes; pages of the hub make them."""
    found = await directory.find_org(org)
    if found is None:
        raise PhotoNotFound
    jpeg = await photos.read(found.id, photo_hash, until_s=until, signature=sig, now=now)
    return Response(jpeg, media_type=JPEG, headers={"Cache-Control": "private, no-store"})
