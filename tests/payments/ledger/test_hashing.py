"""The hash of a day: canonical, so that anybody can compute it again by the description alone."""

from datetime import UTC, date, datetime
from hashlib import sha256
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from payments.ledger.hashing import DayHash, _write
from payments.ledger.types import Checkpoint

ORG, ACCOUNT = UUID(int=1), UUID(int=2)
DAY, BEFORE = date(2026, 11, 21), date(2026, 11, 20)
AT = datetime(2026, 11, 21, 5, 0, 0, 7, tzinfo=UTC)
ROW = (
    UUID(int=3), "bank_clearing", ACCOUNT, "takings", UUID(int=4), 20_000, "match", UUID(int=5), 0,
    AT, AT, DAY, UUID(int=6),
)  # fmt: skip

fields = st.one_of(st.none(), st.text(), st.integers(), st.uuids(), st.dates(), st.binary())


def compute(rows: list[tuple[object, ...]], *, previous: bytes | None = b"p" * 32) -> bytes:
    day_hash = DayHash(
        ORG,
        DAY,
        previous_day=None if previous is None else BEFORE,
        previous_hash=previous,
        postings_before=0,
    )
    day_hash.add_postings(rows)
    checkpoint = Checkpoint("takings", UUID(int=4), 20_000, 1)
    return day_hash.finish([checkpoint], closed_at=AT, closed_by=None)


def test_a_hash_is_what_its_description_says() -> None:
    """Written out by hand, without the code that writes it."""

    def field(content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + content

    null, instant = b"\xff\xff\xff\xff", b"1795237200000007"
    parts = [
        field(b"ledger day"), field(b"1"), field(ORG.bytes), field(b"2026-11-21"),
        field(b"2026-11-20"), field(b"p" * 32), field(b"0"), field(b"postings"),
        field(UUID(int=3).bytes), field(b"bank_clearing"), field(ACCOUNT.bytes), field(b"takings"),
        field(UUID(int=4).bytes), field(b"20000"), field(b"match"), field(UUID(int=5).bytes),
        field(b"0"), field(instant), field(instant), field(b"2026-11-21"),
        field(UUID(int=6).bytes), field(b"1"), field(b"checkpoints"), field(b"takings"),
        field(UUID(int=4).bytes), field(b"20000"), field(b"1"), field(b"1"), field(b"closed"),
        field(instant), null,
    ]  # fmt: skip

    assert compute([ROW]) == sha256(b"".join(parts)).digest()


def test_another_field_another_order_and_another_day_before_are_other_hashes() -> None:
    other = (*ROW[:5], 20_001, *ROW[6:])
    hashes = {
        compute([ROW, other]),
        compute([other, ROW]),
        compute([ROW]),
        compute([other]),
        compute([(*ROW[:-1], None)]),
        compute([]),
        compute([ROW], previous=b"q" * 32),
        compute([ROW], previous=None),
    }
    assert len(hashes) == 8


@settings(max_examples=50)
@given(st.lists(fields, max_size=5), st.lists(fields, max_size=5))
def test_no_two_lists_of_fields_are_written_alike(one: list[object], other: list[object]) -> None:
    def shown(values: list[object]) -> list[bytes | None]:
        return [None if value is None else _write([value])[4:] for value in values]

    assert (_write(one) == _write(other)) == (shown(one) == shown(other))
