"""Tariffs: made, given versions, withdrawn before they begin, and tried on a stay."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.pages.tariff_lines import present_line
from api.v1.tariffs.schemas import (
    SampleList,
    SampleRead,
    TariffCreate,
    TariffPage,
    TariffRead,
    VersionCreate,
    VersionRead,
    VersionWithDocument,
    WhatIf,
    WhatIfLine,
    WhatIfRead,
    WithdrawRequest,
)
from core.errors import InvalidRequest
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.tariffs import publishing, views
from parking.tariffs.charges import Stay
from parking.tariffs.errors import (
    NoRateForVehicle,
    StayNotPriceable,
    TariffNotReadable,
    TariffSampleNotFound,
)
from parking.tariffs.pricing import price_stay
from parking.tariffs.reading import (
    build_tariff,
    read_sample,
    read_sample_document,
    sample_names,
)
from parking.tariffs.records_errors import (
    TariffFromThePast,
    TariffInForce,
    TariffNotFound,
    TariffVersionNotFound,
)
from parking.tariffs.service import create_tariff
from parking.tariffs.structure import Tariff
from parking.tariffs.views import TariffView, VersionView

router = APIRouter(prefix="/v1/tariffs", tags=["parking"])

Reader = Annotated[Caller, requires(Permission.PARKING_READ)]
Manager = Annotated[Caller, requires(Permission.PARKING_MANAGE)]


@router.post(
    "",
    status_code=201,
    response_model=TariffRead,
    responses={**may_answer(IdempotencyKeyReused), 201: REPLAYED},
)
async def add_tariff(
    body: TariffCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> TariffView:
    """Make a tariff. It says nothing until it has a version."""
    tariff_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/tariffs",
        idempotency_key,
        hash_body(body),
        makes=tariff_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await views.get_tariff(tx, caller.org_id, first, now=now)
    await create_tariff(tx, caller.org_id, tariff_id, name=body.name, actor=caller.actor, now=now)
    return await views.get_tariff(tx, caller.org_id, tariff_id, now=now)


@router.get("", responses=may_answer(BadCursor))
async def list_tariffs(
    caller: Reader, tx: Tx, now: Now, cursor: Cursor = None, limit: Limit = 50
) -> TariffPage:
    """List tariffs with their versions, newest first."""
    found = await views.list_tariffs(
        tx, caller.org_id, before_id=read_cursor(cursor), limit=limit + 1, now=now
    )
    return TariffPage(
        tariffs=[TariffRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/samples")
async def list_samples(caller: Reader) -> SampleList:
    """List the tariffs that ship with the product: unverified samples to start from."""
    return SampleList(
        samples=[
            SampleRead(name=name, title=read_sample(name).name, document=read_sample_document(name))
            for name in sample_names()
        ]
    )


@router.post(
    "/quotes",
    responses=may_answer(
        TariffNotFound, TariffNotReadable, TariffSampleNotFound, NoRateForVehicle, StayNotPriceable
    ),
)
async def try_price(body: WhatIf, caller: Reader, tx: Tx, now: Now) -> WhatIfRead:
    """Say what a stay would cost, line by line. Nothing is stored, and nothing is owed."""
    tariff = await _find_tariff(body, caller, tx, now)
    stay = Stay(
        vehicle_class=body.vehicle_class,
        entered_at=body.entered_at,
        zone=body.zone,
        user_group=body.user_group,
        units=body.units,
        is_ticket_lost=body.is_ticket_lost,
    )
    price = price_stay(tariff, stay, left_at=body.left_at)
    return WhatIfRead(
        amount_vnd=price.amount_vnd,
        tax_vnd=price.tax_vnd,
        lines=[
            WhatIfLine(
                code=line.code.value,
                amount_vnd=line.amount_vnd,
                text=present_line("vi", line),
                text_en=present_line("en", line),
            )
            for line in price.lines
        ],
    )


@router.get("/{tariff_id}", response_model=TariffRead, responses=may_answer(TariffNotFound))
async def show_tariff(tariff_id: UUID, caller: Reader, tx: Tx, now: Now) -> TariffView:
    """Show a tariff with its versions."""
    return await views.get_tariff(tx, caller.org_id, tariff_id, now=now)


@router.post(
    "/{tariff_id}/versions",
    status_code=201,
    response_model=VersionRead,
    responses={
        **may_answer(TariffNotFound, TariffNotReadable, TariffFromThePast, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def add_version(
    tariff_id: UUID,
    body: VersionCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> VersionView:
    """Add what a tariff says from a day on: that day's midnight in Hà Nội, or now if it is today.

    A document with faults is refused, and each is listed with its path. Until it begins a version
    can be withdrawn; what is in force is followed by another version.
    """
    version_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/tariffs/{tariff_id}/versions",
        idempotency_key,
        hash_body(body, tariff_id),
        makes=version_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await _get_version(tx, caller, tariff_id, first, now)
    await publishing.publish_version(
        tx,
        caller.org_id,
        version_id,
        tariff_id=tariff_id,
        document=body.document,
        actor=caller.actor,
        now=now,
    )
    return await _get_version(tx, caller, tariff_id, version_id, now)


@router.get(
    "/{tariff_id}/versions/{version_id}",
    responses=may_answer(TariffNotFound, TariffVersionNotFound),
)
async def show_version(
    tariff_id: UUID, version_id: UUID, caller: Reader, tx: Tx, now: Now
) -> VersionWithDocument:
    """Show what a version says."""
    found = await _get_version(tx, caller, tariff_id, version_id, now)
    document = await views.get_document(tx, caller.org_id, tariff_id, version_id)
    facts = VersionRead.model_validate(found).model_dump()
    return VersionWithDocument(**facts, document=document)


@router.post(
    "/{tariff_id}/versions/{version_id}/withdraw",
    response_model=VersionRead,
    responses=may_answer(TariffNotFound, TariffVersionNotFound, TariffInForce),
)
async def withdraw_version(
    tariff_id: UUID, version_id: UUID, body: WithdrawRequest, caller: Manager, tx: Tx, now: Now
) -> VersionView:
    """Take a version back before it comes into force."""
    await publishing.withdraw_version(
        tx,
        caller.org_id,
        tariff_id,
        version_id,
        actor=caller.actor,
        reason=body.reason,
        now=now,
    )
    return await _get_version(tx, caller, tariff_id, version_id, now)


async def _get_version(
    tx: Tx, caller: Caller, tariff_id: UUID, version_id: UUID, now: Now
) -> VersionView:
    tariff = await views.get_tariff(tx, caller.org_id, tariff_id, now=now)
    for version in tariff.versions:
        if version.id == version_id:
            return version
    raise TariffVersionNotFound(version_id)


async def _find_tariff(body: WhatIf, caller: Caller, tx: Tx, now: Now) -> Tariff:
    given = [one for one in (body.tariff_id, body.document, body.sample) if one is not None]
    if len(given) != 1:
        raise InvalidRequest("Name one of tariff_id, document and sample.")
    if body.document is not None:
        return build_tariff(body.document)
    if body.sample is not None:
        return read_sample(body.sample)
    assert body.tariff_id is not None
    tariff = await views.get_tariff(tx, caller.org_id, body.tariff_id, now=body.entered_at)
    if tariff.in_force is None:
        raise StayNotPriceable("The tariff has no version that holds at the entry.")
    version_id = tariff.in_force.id
    return build_tariff(await views.get_document(tx, caller.org_id, tariff.id, version_id))
