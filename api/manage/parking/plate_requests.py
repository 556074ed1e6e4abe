"""The page for a person who asks what is held about their vehicle, or to have it erased."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.manage.page_context import Errors, ManagerContext, TheManager, read_line
from api.manage.parking.stays import write_plate
from api.manage.parking.vehicle_words import list_classes, say_class
from city.plate_requests.service import (
    EVIDENCE_KEPT_FOR,
    STAYS_MAX,
    Held,
    HeldStay,
    erase_plate,
    find_photos,
    read_held,
)
from core.errors import InvalidRequest
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.vehicles import VehicleClass

router = APIRouter(prefix="/manage/plate-requests", include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class HeldLine:
    """A stay of the vehicle."""

    path: str
    lot_name: str
    vehicle: str
    entered: str
    left: str
    price_vnd: int | None
    paid_vnd: int
    photos: int
    kept: str  # why it cannot be erased, "" where it can


@dataclass(frozen=True, kw_only=True)
class HeldElsewhere:
    """What else has the plate."""

    words: str
    count: int
    erasable: int


@dataclass(frozen=True, kw_only=True)
class PlateRequestsPage:
    """Everything templates/plate_requests.html may use, already worded."""

    classes: tuple[tuple[str, str], ...]
    form: dict[str, str]
    errors: Errors
    is_asked: bool
    shown: str  # the plate as it is written
    stays: tuple[HeldLine, ...]
    erasable: int  # stays
    is_erasable: bool  # something is, perhaps elsewhere
    elsewhere: tuple[HeldElsewhere, ...]
    is_cut: bool
    stays_max: int
    erased: int | None
    kept_days: int


@dataclass(frozen=True, kw_only=True)
class _Asked:
    plate: str
    vehicle: VehicleClass | None
    proof: str

    def form(self) -> dict[str, str]:
        vehicle = self.vehicle.value if self.vehicle else ""
        return {"plate": self.plate, "vehicle": vehicle, "proof": self.proof}


@router.get("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def show_form(manager: TheManager) -> Response:
    """Show what is needed for a request."""
    return _render(manager, _Asked(plate="", vehicle=None, proof=""))


@router.post("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def look_or_erase(
    manager: TheManager,
    plate: Annotated[str, Form(max_length=100)] = "",
    vehicle: Annotated[str, Form(max_length=30)] = "",
    proof: Annotated[str, Form(max_length=500)] = "",
    do: Annotated[str, Form(max_length=10)] = "look",
) -> Response:
    """List what is held, or erase what may be erased. Both are in the audit log.

    The plate comes in the body: addresses are kept in logs and histories.
    """
    asked = _Asked(
        plate=read_line(plate, 40),
        vehicle=VehicleClass(vehicle) if vehicle in set(VehicleClass) else None,
        proof=read_line(proof, 500),
    )
    errors = {
        name: manager.say("error.needed") for name in ("plate", "proof") if not getattr(asked, name)
    }
    if errors:
        return _render(manager, asked, errors=errors)
    try:
        erased = await _erase(manager, asked) if do == "erase" else None
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            held = await read_held(
                tx,
                manager.org_id,
                asked.plate,
                asked.vehicle,
                proof=asked.proof,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except InvalidRequest:
        wrong = translate(manager.lang, "plate_requests.bad_plate")
        return _render(manager, asked, errors={"plate": wrong})
    return _render(manager, asked, held=held, erased=erased)


async def _erase(manager: ManagerContext, asked: _Asked) -> int:
    """Erase photos first: a crash leaves stays that are found again."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        photos = await find_photos(tx, manager.org_id, asked.plate, asked.vehicle, now=manager.now)
    for photo in photos:
        await manager.services.photos.erase(manager.org_id, photo)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        return await erase_plate(
            tx,
            manager.org_id,
            asked.plate,
            asked.vehicle,
            photos=photos,
            proof=asked.proof,
            actor=manager.caller.actor,
            now=manager.now,
        )


def _render(
    manager: ManagerContext,
    asked: _Asked,
    *,
    held: Held | None = None,
    erased: int | None = None,
    errors: Errors | None = None,
) -> Response:
    stays = held.stays if held else ()
    any_class = ("", translate(manager.lang, "plate_requests.any_class"))
    vehicle = asked.vehicle or (VehicleClass(stays[0].vehicle_class) if stays else None)
    page = PlateRequestsPage(
        classes=(any_class, *list_classes(manager.lang)),
        form=asked.form(),
        errors=errors or {},
        is_asked=held is not None,
        shown=write_plate(held.plate, (vehicle or VehicleClass.OTHER).value) if held else "",
        stays=tuple(_present(manager, one) for one in stays),
        erasable=sum(one.kept_for is None for one in stays),
        is_erasable=held is not None and held.erasable > 0,
        elsewhere=tuple(
            HeldElsewhere(
                words=translate(manager.lang, f"plate_requests.table.{table}"),
                count=count,
                erasable=erasable,
            )
            for table, (count, erasable) in (held.rows if held else {}).items()
            if count and table != "parking_sessions"
        ),
        is_cut=held.is_cut if held else False,
        stays_max=STAYS_MAX,
        erased=erased,
        kept_days=EVIDENCE_KEPT_FOR.days,
    )
    status = 422 if errors else 200
    return manager.render("plate_requests.html", page, here="plates", status=status)


def _present(manager: ManagerContext, one: HeldStay) -> HeldLine:
    kept = "" if one.is_own else translate(manager.lang, "plate_requests.read_only")
    if one.kept_for is not None:
        kept = translate(
            manager.lang,
            f"plate_requests.kept.{one.kept_for.value}",
            days=EVIDENCE_KEPT_FOR.days,
        )
    return HeldLine(
        path=manager.path(f"/stays/{one.id}"),
        lot_name=one.lot_name,
        vehicle=say_class(manager.lang, one.vehicle_class),
        entered=manager.present_instant(one.entered_at),
        left=manager.present_instant(one.left_at),
        price_vnd=one.price_vnd,
        paid_vnd=one.paid_vnd,
        photos=one.photos,
        kept=kept,
    )
