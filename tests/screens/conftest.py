"""A running hub for each test of the screens."""

from tests.api.conftest import _plain_logs, hub

__all__ = ["_plain_logs", "hub"]
