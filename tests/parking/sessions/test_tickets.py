"""The code on a ticket names a stay and its key, and has one spelling."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.masking import mask_path
from parking.sessions.tickets import TICKET_PATH, read_ticket_code, write_ticket_code


@given(st.uuids(), st.uuids())
def test_what_is_written_is_read(session_id: UUID, key: UUID) -> None:
    code = write_ticket_code("HKXM", session_id, key)

    assert read_ticket_code(code) == ("HKXM", session_id, key)
    assert len(code) == 48
    assert mask_path(TICKET_PATH + code) == "/t/HKXM-…"


@pytest.mark.parametrize("change", ["shorter", "longer", "spelling", "code", "padding"])
def test_anything_else_is_no_code(change: str) -> None:
    code = write_ticket_code("HKXM", UUID(int=0), uuid4())[:-1] + "A"
    wrong = {
        "shorter": code[:-1],
        "longer": code + "A",
        "spelling": code[:-1] + "B",  # the same bytes to a lenient reader
        "code": code.lower(),
        "padding": code + "=",
    }[change]

    assert read_ticket_code(code) is not None
    assert read_ticket_code(wrong) is None
