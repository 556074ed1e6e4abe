"""A plain FastAPI + SQLAlchemy ORM route that opens bills: what most would write first.

One session and one commit per request, a pool of 16, the body validated by the hub's own model,
the answer by FastAPI's. It looks the payee's account up and inserts one row into a copy of the
hub's table with all of its constraints and indexes. It does less than the hub: no API key, no
Idempotency-Key, no row-level security (it connects as the owner), no log, no VietQR code.

Run as `python -m loadtests.peers.plain_orm DATABASE_URL`; it prints its port.
"""

import itertools
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column

from api.v1.bills.schemas import BillCreate
from core.db import Vnd
from core.ids import new_id, new_token
from core.tenancy import OrgRow
from ops.serving import bind
from payments.bills.references import make_reference
from payments.payees.models import PayeeAccount

# The owner runs it once before the peer starts.
MAKE_TABLE = """
CREATE TABLE peer_bills (LIKE bills INCLUDING ALL);
ALTER TABLE peer_bills ADD FOREIGN KEY (org_id, link_id, payee_id, receiving_account_id)
    REFERENCES payee_accounts (org_id, id, payee_id, receiving_account_id);
"""
POOL_SIZE = 16
VALID_FOR = timedelta(minutes=15)
PEER_CODE = "PEER"
NOBODY = UUID(int=3)


class PeerBill(OrgRow):
    """The same columns as the hub's bills."""

    __tablename__ = "peer_bills"

    link_id: Mapped[UUID]
    payee_id: Mapped[UUID]
    receiving_account_id: Mapped[UUID]
    virtual_account: Mapped[str | None] = mapped_column(String(19))
    rail: Mapped[str]
    provider_order_id: Mapped[str | None]
    reference: Mapped[str] = mapped_column(String(13))
    public_token: Mapped[str] = mapped_column(String(22))
    amount_vnd: Mapped[Vnd | None]
    paid_vnd: Mapped[Vnd]
    received_vnd: Mapped[Vnd]
    purpose: Mapped[str]
    external_id: Mapped[str | None]
    status: Mapped[str]
    is_late: Mapped[bool]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    monitor_until: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]


class PeerBillRead(BaseModel):
    """The answer, validated and written by FastAPI."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    payee_id: UUID
    receiving_account_id: UUID
    reference: str
    amount_vnd: int | None
    paid_vnd: int
    status: str
    purpose: str
    external_id: str | None
    created_at: datetime
    expires_at: datetime


async def open_transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """One request, one transaction, committed before the answer."""
    async with request.app.state.database.begin() as session:
        yield session


Tx = Annotated[AsyncSession, Depends(open_transaction, scope="function")]


def create_app(database_url: str) -> FastAPI:
    """Build the peer."""
    url = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=0)
    database = async_sessionmaker(engine, expire_on_commit=False)
    serials = itertools.count()
    app = FastAPI()

    app.state.database = database

    @app.post("/v1/bills", status_code=201, response_model=PeerBillRead)
    async def open_bill(body: BillCreate, tx: Tx) -> PeerBill:
        query = select(PayeeAccount).filter_by(payee_id=body.payee_id, status="active")
        link = await tx.scalar(query)
        if link is None:
            raise HTTPException(404, "This payee has no account.")
        now = datetime.now(UTC)
        bill = PeerBill(
            org_id=link.org_id,
            id=body.id or new_id(),
            link_id=link.id,
            payee_id=link.payee_id,
            receiving_account_id=link.receiving_account_id,
            virtual_account=link.virtual_account,
            rail="vietqr",
            reference=make_reference(PEER_CODE, next(serials)),
            public_token=new_token(),
            amount_vnd=body.amount_vnd,
            paid_vnd=0,
            received_vnd=0,
            purpose=body.purpose,
            external_id=body.external_id,
            status="open",
            is_late=False,
            created_by=NOBODY,
            created_at=now,
            expires_at=now + VALID_FOR,
            monitor_until=now + VALID_FOR + timedelta(days=1),
        )
        tx.add(bill)
        return bill

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
