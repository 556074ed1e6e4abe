"""The contents of a log line."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from core.logging import write_json
from core.masking import mask_path


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/p/HKXM-abcdefghijklmnopqrstu", "/p/HKXM-…"),
        ("/p/HKXM-abcdefghijklmnopqrstu/qr.svg", "/p/HKXM-…/qr.svg"),
        ("/v1/callbacks/HKXM-abc_DEF-0123456789/x", "/v1/callbacks/HKXM-…/x"),
        ("/v1/bills/01a2009e-289d-705a-82d9-e20a79e86559",) * 2,
        ("/counter",) * 2,
    ],
)
def test_token_in_an_address_is_not_written_down(path: str, written: str) -> None:
    assert mask_path(path) == written


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Phở bò ₫", "Phở bò ₫"),
        ("half a character: \ud83d", "half a character: \ud83d"),
        (10**30, 10**30),
        (None, None),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 11, 28, 5, tzinfo=UTC), "2026-11-28T05:00:00Z"),
        ({"a": [1, 2.5]}, {"a": [1, 2.5]}),
        (ValueError("no"), "ValueError('no')"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_a_line_of_the_log_is_one_line_of_json(value: Any, read: Any) -> None:
    line = write_json({"event": "x", "value": value})
    assert "\n" not in line
    assert json.loads(line) == {"event": "x", "value": read}
