"""Arrays as `core.db.run` writes them come back from PostgreSQL as they were."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.sql import run

pytestmark = pytest.mark.anyio

ID = UUID("01939f3c-0000-7000-8000-000000000001")
CASES: list[tuple[str, list[Any]]] = [
    (
        "text[]",
        ["", "NULL", "null", " a ", 'quote " and \\ slash', "{a,b}", "đồng ₫", "a\nb", None],
    ),
    ("uuid[]", [ID, None]),
    ("bigint[]", [0, -1, 10**15, None]),
    ("bool[]", [True, False, None]),
    ("timestamptz[]", [datetime(2026, 11, 20, 5, 0, 0, 123456, tzinfo=UTC), None]),
    ("bytea[]", [b"\x00\xff", b""]),
    ("jsonb[]", ['{"a": "\\"\\\\"}', None]),
    ("uuid[]", []),
]


@pytest.mark.parametrize(("kind", "values"), CASES, ids=[f"{k}-{len(v)}" for k, v in CASES])
async def test_an_array_comes_back_as_it_was(
    app_database: Database, kind: str, values: list[Any]
) -> None:
    async with app_database.begin() as session:
        statement = text(f"SELECT CAST(:given AS {kind})")
        ((back,),) = await run(session, statement, {"given": values})
    if kind == "jsonb[]":
        assert back == [{"a": '"\\'}, None]
    else:
        assert back == values
