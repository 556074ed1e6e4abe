"""Arrays as `core.db.run` writes them come back from PostgreSQL as they were."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.sql import run, write_array

pytestmark = pytest.mark.anyio

ID = UUID("01939f3c-0000-7000-8000-000000000001")


class Kind(StrEnum):
    PAID = "paid"


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
    ("text[]", ["NULL", 'quote " and \\ slash', "{a,b}", "đồng ₫"]),
    ("text[]", [Kind.PAID]),
    ("text[]", [Kind.PAID, "x", None]),
    ("uuid[]", [ID, ID]),
    ("bigint[]", [0, -1, 10**15]),
    ("bool[]", [True, False]),
    ("text[]", [None, None]),
    ("timestamptz[]", [datetime(2026, 11, 20, 5, 0, 0, 0, tzinfo=UTC)]),
]


@pytest.mark.parametrize(("kind", "values"), CASES, ids=[f"{k}-{v}" for k, v in CASES])
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


@pytest.mark.parametrize("values", [[1.5], [1, 1.5], [{"a": 1}]])
def test_an_array_of_something_else_is_refused(values: list[Any]) -> None:
    with pytest.raises(TypeError, match="no array of"):
        write_array(values)
