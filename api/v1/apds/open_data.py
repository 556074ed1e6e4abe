"""Open data: free spaces of an organisation's lots as GeoJSON (RFC 7946), for everybody.

No session, plate or person is in it. A process answers all who ask from what it read a few
seconds ago.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from api.http.deps import Now, TheDatabase, TheDirectory, TheLimits, public
from api.http.errors import may_answer
from api.http.fields import Read
from api.http.networks import network_of
from core.tenancy import open_org_transaction
from identity.organisations.errors import OrganisationNotFound
from identity.organisations.rules import ORG_CODE_PATTERN
from parking.overview.queries_export import list_free

router = APIRouter(tags=["apds"])

KEPT_FOR: Final = timedelta(seconds=10)
KEPT_MAX: Final = 500  # organisations
ROWS_MAX: Final = 10_000
MILLION: Final = 1_000_000
_kept: dict[Any, tuple[datetime, "FeatureCollection"]] = {}


class Point(Read):
    """Where a lot is."""

    type: str = "Point"
    coordinates: tuple[float, float]  # longitude first


class LotProperties(Read):
    """What is free at a lot, by class of vehicle."""

    name: str
    address: str
    kind: str
    free: dict[str, int]
    capacity: dict[str, int]


class Feature(Read):
    """A lot on the map."""

    type: str = "Feature"
    id: str
    geometry: Point
    properties: LotProperties


class FeatureCollection(Read):
    """The lots of an organisation."""

    type: str = "FeatureCollection"
    updated_at: datetime
    features: list[Feature]


@router.get(
    "/open/parking.geojson", dependencies=[public], responses=may_answer(OrganisationNotFound)
)
async def show_free_spaces(
    org: Annotated[str, Query(pattern=f"^{ORG_CODE_PATTERN}$", description="The operator's code.")],
    request: Request,
    response: Response,
    database: TheDatabase,
    directory: TheDirectory,
    limits: TheLimits,
    now: Now,
) -> FeatureCollection:
    """Say how many spaces are free at each lot that has a position. At most 10 seconds old."""
    network = network_of(request)
    limits.open_data.take(network)
    found = await directory.find_org(org)
    if found is None:
        limits.pay_misses.take(network)
        raise OrganisationNotFound(org)
    response.headers["Cache-Control"] = f"public, max-age={KEPT_FOR.seconds}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    key = (id(database), found.id)
    kept = _kept.get(key)
    if kept is not None and now - kept[0] < KEPT_FOR:
        return kept[1]
    async with open_org_transaction(database, found.id) as session:
        rows = await list_free(session, found.id, limit=ROWS_MAX)
    made = _to_features(rows, now)
    if len(_kept) >= KEPT_MAX:
        _kept.clear()
    _kept[key] = (now, made)
    return made


def _to_features(rows: list[tuple[Any, ...]], now: datetime) -> FeatureCollection:
    features: dict[Any, Feature] = {}
    for lot_id, name, address, kind, latitude, longitude, vehicle, capacity, inside in rows:
        feature = features.setdefault(
            lot_id,
            Feature(
                id=str(lot_id),
                geometry=Point(coordinates=(longitude / MILLION, latitude / MILLION)),
                properties=LotProperties(
                    name=name, address=address, kind=kind, free={}, capacity={}
                ),
            ),
        )
        feature.properties.free[vehicle] = max(0, capacity - inside)
        feature.properties.capacity[vehicle] = capacity
    return FeatureCollection(updated_at=now, features=list(features.values()))
