"""Strangers at the callback door: what they ask costs little, and pushes nobody out."""

import asyncio
from datetime import timedelta

import pytest

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.settings import Settings
from payments.callbacks import queries as notice_queries
from payments.callbacks import receiver as receiver_module
from payments.callbacks.receiver import NoticeReceiver
from payments.credits.processor import NoticeProcessor
from tests.world.callbacks import sepay_callback
from tests.world.constants import CALLBACK_SECRET
from tests.world.notices import sepay_body
from tests.world.reads import count_rows
from tests.world.stalls import a_callable_stall

pytestmark = pytest.mark.anyio


async def test_strangers_push_no_endpoint_out_and_use_few_connections(
    app_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_module, "KNOWN_MAX", 20)
    to = await a_callable_stall(app_database, settings, code="HKXM")
    processor = NoticeProcessor(app_database, read_clock=read_clock)
    sealer = Sealer.from_settings(settings)
    receiver = NoticeReceiver(app_database, sealer, wake=processor.wake)
    under_way = most = 0
    load = receiver._load

    async def counted(*args: object) -> object:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await load(*args)  # type: ignore[arg-type]
        finally:
            under_way -= 1

    monkeypatch.setattr(receiver, "_load", counted)
    body = sepay_body(to, amount_vnd=10_000, memo="x", occurred_at=read_clock())

    async def call(address: str, key: str = CALLBACK_SECRET) -> int:
        now = read_clock()
        headers = {k.lower(): v for k, v in sepay_callback(body, key=key, at=now).headers.items()}
        answer = await receiver.receive("sepay", address, "", headers=headers, body=body, now=now)
        assert answer is not None
        return answer.status

    assert await call(to.address) == 200
    assert set(await asyncio.gather(*(call(f"HKXM-{n:022d}") for n in range(100)))) == {401}
    assert most <= receiver_module.STRANGERS_AT_ONCE_MAX
    assert ("sepay", to.address) in receiver._known
    assert len(receiver._unknown) <= 20

    monkeypatch.setattr(receiver_module, "REJECTIONS_AN_HOUR_MAX", 3)
    opened = 0
    keep = notice_queries.insert_rejection

    async def count(*args: object, **facts: object) -> None:
        nonlocal opened
        opened += 1
        await keep(*args, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(notice_queries, "insert_rejection", count)
    for _ in range(10):
        assert await call(to.address, key="wrong") == 401
    assert opened == 3
    assert await count_rows(app_database, to, "rejections") == 3
    assert timedelta(hours=1) == receiver_module.REJECTION_WINDOW
    await processor.close()
