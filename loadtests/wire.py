"""Messages from the parent to the processes that send and listen, and what they write down."""

from pathlib import Path
from typing import TypeVar

import msgspec

from loadtests.journeys import Plan

T = TypeVar("T")


class Call(msgspec.Struct, array_like=True):
    """One HTTP request to send, again until it is acknowledged."""

    path: str
    headers: str  # whole lines, each ended by CR LF
    body: bytes
    secret: str = ""  # of a SePay endpoint: signed at the moment of sending
    method: str = "POST"


class SendingJob(msgspec.Struct):
    """What one sender does."""

    host: str
    port: int
    connections: int
    calls: list[Call]
    calls_per_s: float | None = None  # None: as fast as answers come


class Answered(msgspec.Struct, array_like=True):
    """One attempt as the sender saw it; times are of the machine's monotonic clock."""

    call: int  # position in the job
    status: int  # 0: the connection broke
    sent_at_s: float  # where calls are paced: when it was due
    answered_at_s: float


class SendingLog(msgspec.Struct):
    """The sender's own log: every attempt, in the order of the answers."""

    answers: list[Answered]
    cpu_s: float


class ListeningJob(msgspec.Struct):
    """What one listener does: opens streams and writes down what it receives."""

    host: str
    port: int
    streams: list[tuple[str, str]]  # (path, header lines)
    awaited: list[str]  # bill ids and references; either of a pair is enough
    awaited_count: int  # payments
    timeout_s: float


class PullResult(msgspec.Struct, array_like=True):
    """The first event that names something awaited, and when its last byte was read."""

    at_s: float
    name: str


class ListeningLog(msgspec.Struct):
    """Everything that was received."""

    events: list[PullResult]


class Booth(msgspec.Struct, kw_only=True):
    """A lot as the phone there knows it."""

    org_id: str
    lot_id: str
    shift_id: str
    token: str


class Vehicle(msgspec.Struct, kw_only=True):
    """A vehicle inside."""

    booth: int  # position in the job
    session_id: str
    vehicle_class: str
    plate: str


class Batch(msgspec.Struct, kw_only=True):
    """Movements of one device, signed beforehand."""

    booth: int
    body: bytes
    entered: list[Vehicle | None]  # what each brings in; None: it lets something out


class GeneratorJob(msgspec.Struct, kw_only=True):
    """What the load generator does."""

    hub_url: str
    sandbox_url: str
    plan: Plan
    users: dict[str, int]  # class of loadtests.gate_users → its weight
    booths: list[Booth]
    inside: list[Vehicle]
    returning: list[list[Batch]]  # of each device, in its order
    notes_path: str
    report_path: str
    first_vehicle: int  # number of the first that this process brings
    seed: int


class RequestFigures(msgspec.Struct, kw_only=True):
    """What Locust counted of one kind of request."""

    name: str
    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class RequestLog(msgspec.Struct, kw_only=True):
    """What the load generator counted."""

    requests: list[RequestFigures]
    total: RequestFigures
    exceptions: list[str]  # faults of its own code


def write(path: Path, value: msgspec.Struct) -> None:
    """Write a struct for another process."""
    path.write_bytes(msgspec.msgpack.encode(value))


def read(path: Path, kind: type[T]) -> T:
    """Read what `write` wrote."""
    return msgspec.msgpack.decode(path.read_bytes(), type=kind)
