"""A plain FastAPI + SQLAlchemy ORM route that lets vehicles in: what most would write first.

One session and one commit per request, a pool of 16, a typed body, the answer by FastAPI's. It
locks the occupancy row, looks whether the vehicle is inside and whether it has a pass, and inserts
the same rows into the hub's own tables. It does less than the hub: no device's token, no repeat of
a request, no row-level security (it connects as the owner), no log.

Run as `python -m loadtests.peers.plain_orm_entries DATABASE_URL`; it prints its port.
"""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from core.ids import new_id
from ops.serving import bind
from parking.passes.models import PassPlate
from parking.places.models import Occupancy
from parking.plates import mask_plate, read_plate
from parking.sessions.models import Inside, Observation, ParkingSession
from parking.vehicles import VehicleClass
from payments.outbox.models import Event

POOL_SIZE = 16
NOBODY = UUID(int=3)


class PeerEntry(BaseModel):
    """The same body as the hub's."""

    id: UUID
    vehicle_class: VehicleClass
    plate: str
    method: Literal["anpr", "visual"]
    photo: str
    read_text: str
    read_score_bps: int


class PeerEntryRead(BaseModel):
    """The answer, validated and written by FastAPI."""

    model_config = ConfigDict(from_attributes=True)

    verdict: str
    session_id: UUID
    inside_count: int
    capacity: int


async def open_transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """One request, one transaction, committed before the answer."""
    async with request.app.state.database.begin() as session:
        yield session


Tx = Annotated[AsyncSession, Depends(open_transaction, scope="function")]


def create_app(database_url: str) -> FastAPI:
    """Build the peer."""
    url = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=0)
    app = FastAPI()
    app.state.database = async_sessionmaker(engine, expire_on_commit=False)

    @app.post("/v1/lots/{lot_id}/entries", status_code=201, response_model=PeerEntryRead)
    async def enter(lot_id: UUID, body: PeerEntry, tx: Tx) -> PeerEntryRead:
        now = datetime.now(UTC)
        compact = read_plate(body.plate, body.vehicle_class).compact
        occupancy = await tx.scalar(
            select(Occupancy)
            .filter_by(lot_id=lot_id, vehicle_class=body.vehicle_class.value)
            .with_for_update()
        )
        if occupancy is None:
            raise HTTPException(404, "No such lot.")
        of_lot = {"org_id": occupancy.org_id, "lot_id": lot_id}
        credential = f"{body.vehicle_class.value}:{compact}"
        present = await tx.scalar(
            select(Inside).filter_by(**of_lot, kind="plate", credential=credential)
        )
        if present is not None or occupancy.inside_count >= occupancy.capacity:
            raise HTTPException(409, "It is inside, or the lot is full.")
        await tx.scalar(
            select(PassPlate).filter_by(
                org_id=occupancy.org_id, plate=compact, vehicle_class=body.vehicle_class.value
            )
        )
        occupancy.inside_count += 1
        photo = bytes.fromhex(body.photo)
        tx.add(
            ParkingSession(
                **of_lot,
                id=body.id,
                vehicle_class=body.vehicle_class.value,
                plate=compact,
                ticket_key=uuid4(),
                status="inside",
                entered_at=now,
                entry_by=NOBODY,
                entry_photo=photo,
                request_hash=photo,
            )
        )
        tx.add(
            Inside(
                **of_lot,
                kind="plate",
                credential=credential,
                tail=compact[-3:],
                session_id=body.id,
                vehicle_class=body.vehicle_class.value,
                entered_at=now,
            )
        )
        tx.add(
            Observation(
                **of_lot,
                id=body.id,
                session_id=body.id,
                direction="in",
                method=body.method,
                plate=compact,
                read_text=body.read_text,
                read_score_bps=body.read_score_bps,
                photo=photo,
                seen_by=NOBODY,
                seen_at=now,
            )
        )
        data = {
            "lot_id": str(lot_id),
            "session_id": str(body.id),
            "vehicle_class": body.vehicle_class.value,
            "plate": mask_plate(compact),
            "inside_count": occupancy.inside_count,
        }
        event = {"kind": "parking.entered", "data": data, "recorded_at": now}
        tx.add(Event(org_id=occupancy.org_id, id=new_id(), **event))
        return PeerEntryRead(
            verdict="opened",
            session_id=body.id,
            inside_count=occupancy.inside_count,
            capacity=occupancy.capacity,
        )

    return app


def main(database_url: str) -> None:
    """Serve one process on a free port, by the same server and loop as the hub."""
    listener = bind("127.0.0.1", 0, used_for="the peer", option="none")
    config = uvicorn.Config(
        create_app(database_url),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
