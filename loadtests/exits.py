"""The evening of a bench: tariffs, attendants on their shifts, vehicles that have paid, exits.

Half of the vehicles paid in cash, the other half by VietQR. Both are written by SQL as the hub
leaves them: what is measured is the way out, which finds, prices and closes in one request.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import psycopg

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.devices.rules import UNNAMED_PERMISSIONS
from identity.devices.tokens import DeviceTokens
from identity.people.models import Staff
from loadtests.booths import HOURLY_VND, PER_VISIT_VND, TARIFF
from loadtests.city import MANAGER
from loadtests.lots import Arrival, BenchLot
from loadtests.wire import Call, SendingLog
from parking.shifts.service import open_shift
from parking.tariffs.service import add_version, assign_to_lot, create_tariff

LEFT: Final = 201  # any other answer let nothing out
_numbers: Final = itertools.count()

ACCOUNTS: Final = """
INSERT INTO receiving_accounts (
    org_id, id, bin, account_number, holder_name, status, proposed_by, proposed_at, approved_by,
    approved_at, test_credit_id, activated_at)
SELECT org_id, payee_id, '970422', '97' || row_number() OVER (ORDER BY id), 'A', 'active', id,
       now(), payee_id, now(), id, now()
FROM lots WHERE id = ANY(%(lot_ids)s);
"""
LINKS: Final = """
INSERT INTO payee_accounts (
    org_id, id, payee_id, receiving_account_id, status, test_reference, proposed_by, proposed_at,
    approved_by, approved_at, activated_at)
SELECT org_id, payee_id, payee_id, payee_id, 'active', 'PPEVENING', id, now(), payee_id, now(),
       now()
FROM lots WHERE id = ANY(%(lot_ids)s);
"""
DUE_VND: Final = f"CASE s.vehicle_class WHEN 'car' THEN {HOURLY_VND} ELSE {PER_VISIT_VND} END"
PAYING: Final = """
CREATE TEMPORARY TABLE paying (org_id uuid, id uuid, n bigint, shift_id uuid, staff_id uuid)
"""
PAY_CASH: Final = f"""
INSERT INTO collections (org_id, id, lot_id, session_id, shift_id, rail, amount_vnd, receipt_number,
    device_id, collected_by, collected_at, recorded_at)
SELECT s.org_id, s.id, s.lot_id, s.id, p.shift_id, 'cash', {DUE_VND}, 'B' || p.n,
       s.entry_device_id, p.staff_id, now(), now()
FROM paying p JOIN parking_sessions s USING (org_id, id) WHERE mod(p.n, 2) = 0
"""
PAY_BILLS: Final = f"""
INSERT INTO bills (org_id, id, link_id, payee_id, receiving_account_id, rail, reference,
    public_token, amount_vnd, paid_vnd, received_vnd, purpose, status, created_by, created_at,
    expires_at, monitor_until, paid_at, owner_kind, owner_id)
SELECT s.org_id, s.id, l.payee_id, l.payee_id, l.payee_id, 'vietqr',
       'PX' || lpad(p.n::text, 11, '0'), 'exit-' || lpad(p.n::text, 17, '0'), {DUE_VND},
       {DUE_VND}, {DUE_VND}, 'Gửi xe', 'paid', p.staff_id, now(),
       now() + interval '15 minutes', now() + interval '1 day', now(), 'parking_session', s.id
FROM paying p JOIN parking_sessions s USING (org_id, id)
JOIN lots l ON l.org_id = s.org_id AND l.id = s.lot_id WHERE mod(p.n, 2) = 1
"""
NOTE_PAID: Final = f"""
UPDATE parking_sessions s
SET price_vnd = {DUE_VND}, paid_vnd = {DUE_VND}, paid_until = now() + interval '15 minutes',
    bill_id = CASE mod(p.n, 2) WHEN 1 THEN s.id END,
    bill_paid_vnd = CASE mod(p.n, 2) WHEN 1 THEN {DUE_VND} ELSE 0 END
FROM paying p WHERE s.org_id = p.org_id AND s.id = p.id
"""
# One row per vehicle whose exit was acknowledged.
JUDGE: Final = """
SELECT count(*) FILTER (WHERE left_once <> 1 OR present <> 0 OR seen < 1 OR told < 1),
       count(*) FILTER (WHERE seen > 1 OR told > 1)
FROM (
    SELECT (SELECT count(*) FROM parking_sessions s
            WHERE s.org_id = a.org_id AND s.id = a.id AND s.status = 'left'
              AND s.price_vnd = s.paid_vnd) AS left_once,
           (SELECT count(*) FROM inside i WHERE i.org_id = a.org_id AND i.session_id = a.id)
               AS present,
           (SELECT count(*) FROM observations o
            WHERE o.org_id = a.org_id AND o.session_id = a.id AND o.direction = 'out') AS seen,
           coalesce(e.told, 0) AS told
    FROM acknowledged a LEFT JOIN told e USING (org_id, id)) AS counted
"""
TOLD: Final = """
CREATE TEMPORARY TABLE told AS
SELECT org_id, (data->>'session_id')::uuid AS id, count(*) AS told
FROM events WHERE kind = 'parking.left' GROUP BY 1, 2
"""


@dataclass(frozen=True, kw_only=True)
class Attendant:
    """Who stands at a lot in the evening."""

    staff_id: UUID
    shift_id: UUID


async def begin_evening(
    database: Database, lots: Sequence[BenchLot], *, now: datetime
) -> dict[UUID, Attendant]:
    """Give each organisation a tariff and each lot an attendant with an open shift."""
    found: dict[UUID, Attendant] = {}
    for org, of_org in itertools.groupby(lots, lambda lot: lot.org):
        tariff_id, a_day_ago = new_id(), now - timedelta(days=1)
        async with open_org_transaction(database, org.id) as session:
            await create_tariff(session, org.id, tariff_id, name="Biểu giá", actor=MANAGER, now=now)
            await add_version(
                session,
                org.id,
                new_id(),
                tariff_id=tariff_id,
                valid_from=a_day_ago,
                document=TARIFF,
                legal_basis=TARIFF["legal_basis"],
                actor=MANAGER,
                now=now,
            )
            for lot in of_org:
                at_lot = Attendant(staff_id=new_id(), shift_id=new_id())
                session.add(
                    Staff(
                        org_id=org.id,
                        id=at_lot.staff_id,
                        login=f"tu{at_lot.staff_id.hex}",
                        display_name="Anh Tú",
                        password_hash="",  # nobody signs in with it
                        roles=["attendant"],
                        created_at=now,
                    )
                )
                await session.flush()
                await assign_to_lot(
                    session,
                    org.id,
                    new_id(),
                    lot_id=lot.id,
                    tariff_id=tariff_id,
                    from_at=a_day_ago,
                    actor=MANAGER,
                    now=now,
                )
                await open_shift(
                    session,
                    org.id,
                    at_lot.shift_id,
                    lot_id=lot.id,
                    staff_id=at_lot.staff_id,
                    change_vnd=0,
                    actor=Actor(kind="staff", id=at_lot.staff_id, name="Anh Tú"),
                    now=now,
                )
                found[lot.id] = at_lot
    return found


def open_accounts(owner_url: str, lots: Sequence[BenchLot]) -> None:
    """Give each lot's payee the account that its bills name."""
    values = {"lot_ids": [lot.id for lot in lots]}
    with psycopg.connect(owner_url) as owner:
        owner.execute(ACCOUNTS, values)
        owner.execute(LINKS, values)


def pay_all(owner_url: str, attendants: dict[UUID, Attendant], arrivals: Sequence[Arrival]) -> None:
    """Let vehicles that are inside have paid: every other one in cash, the rest by VietQR."""
    with psycopg.connect(owner_url) as owner:
        owner.execute(PAYING)
        with owner.cursor().copy("COPY paying FROM STDIN") as copy:
            for one in arrivals:
                at_lot = attendants[one.lot_id]
                row = (one.org_id, one.session_id, next(_numbers))
                copy.write_row((*row, at_lot.shift_id, at_lot.staff_id))
        owner.execute("ANALYZE paying")
        for statement in (PAY_CASH, PAY_BILLS, NOTE_PAID):
            owner.execute(statement)


def make_tokens(
    settings: Settings,
    lots: Sequence[BenchLot],
    attendants: dict[UUID, Attendant],
    *,
    now: datetime,
) -> dict[UUID, str]:
    """Return the token of each lot's phone with its attendant, good for a quarter of an hour."""
    tokens = DeviceTokens.from_settings(settings)
    return {
        lot.id: tokens.make_token(
            org_id=lot.org.id,
            org_code=lot.org.code,
            device_id=lot.device_id,
            lot_id=lot.id,
            staff_id=attendants[lot.id].staff_id,
            shift_id=attendants[lot.id].shift_id,
            permissions=UNNAMED_PERMISSIONS,
            now=now,
        )
        for lot in lots
    }


def write_exits(arrivals: Sequence[Arrival], tokens: dict[UUID, str]) -> list[Call]:
    """Write one request for each vehicle that leaves: its plate, and a photo's hash."""
    return [
        Call(
            path=f"/v1/lots/{one.lot_id}/exits",
            headers=f"Authorization: Bearer {tokens[one.lot_id]}\r\n",
            body=msgspec.json.encode(
                {
                    "plate": one.plate,
                    "vehicle_class": one.vehicle_class,
                    "method": "anpr",
                    "photo": one.session_id.hex * 2,
                }
            ),
        )
        for one in arrivals
    ]


def list_left(log: SendingLog) -> dict[int, float]:
    """Return which calls let a vehicle out, and when that was acknowledged."""
    return {one.call: one.answered_at_s for one in log.answers if one.status == LEFT}


def count_lost_exits(owner_url: str, left: Sequence[Arrival]) -> tuple[int, int]:
    """Hold acknowledged exits against the database: (not left, left more than once)."""
    with psycopg.connect(owner_url) as owner:
        owner.execute("CREATE TEMPORARY TABLE acknowledged (org_id uuid, id uuid)")
        with owner.cursor().copy("COPY acknowledged FROM STDIN") as copy:
            for one in left:
                copy.write_row((one.org_id, one.session_id))
        owner.execute(TOLD)
        owner.execute("ANALYZE acknowledged")
        owner.execute("ANALYZE told")
        counted = owner.execute(JUDGE).fetchone()
    assert counted is not None
    return int(counted[0]), int(counted[1])
