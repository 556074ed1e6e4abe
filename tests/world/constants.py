"""Moments, people, banks and secrets that tests share."""

from datetime import UTC, datetime
from uuid import UUID

from core.audit import Actor

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)  # 12:00 in Hà Nội, a Friday
MANAGER = Actor(kind="staff", id=UUID(int=1), name="manager")
APPROVER = Actor(kind="staff", id=UUID(int=2), name="approver")
VENDOR = Actor(kind="staff", id=UUID(int=3), name="vendor")
VCB, MB, ACB = "970436", "970422", "970416"
PASSWORD = "bún chả Hàng Mành"  # of everybody who signs in
# What a machine with other work may add to a promised time; a promise broken is far longer.
BUSY_S = 10.0
CALLBACK_SECRET = "một-bí-mật-của-kiểm-thử"  # of endpoints that are called over HTTP
