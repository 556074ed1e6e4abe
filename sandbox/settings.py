"""Settings of the sandbox, read at its start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Bounds of everything the sandbox keeps in memory; a bound that is reached answers 503 or drops
# the oldest finished rows (docs/sandbox.md says which).
ACCOUNTS_MAX: Final = 20_000
SUBSCRIPTIONS_MAX: Final = 1_000
LINES_MAX: Final = 50_000
DELIVERIES_MAX: Final = 50_000
PENDING_MAX: Final = 10_000
PAYMENT_REQUESTS_MAX: Final = 20_000
INTENTS_MAX: Final = 10_000
BODY_BYTES_MAX: Final = 256 * 1024
IMAGE_BYTES_MAX: Final = 8 * 1024 * 1024
IMAGE_PIXELS_MAX: Final = 40_000_000
REPLY_BYTES_MAX: Final = 64 * 1024
SENDS_AT_ONCE_MAX: Final = 64


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One sandbox. Nothing here is secret: all its money is pretend."""

    port: int = 8001
    host: str = "127.0.0.1"  # it has no login, so it listens to this machine only by default
    data_dir: Path | None = None  # where the snapshot is kept; None keeps nothing
    seed: int = 1  # every random choice follows from it
    # Seconds of ours per second of a provider's clock: 0.01 runs SePay's 33 minutes in 20 s.
    time_scale: float = 1.0
    hub_url: str = ""  # shown as a link on the front page, e.g. http://127.0.0.1:8000

    url: str = ""  # how phones reach the sandbox, where that is not host and port

    @property
    def public_url(self) -> str:
        """The address that the sandbox prints in links to itself."""
        return self.url.rstrip("/") or f"http://{self.host}:{self.port}"

    def __post_init__(self) -> None:
        """Refuse a clock that stands still or runs backwards, and a port that wraps around."""
        if not 0 <= self.port <= 65_535:
            msg = f"port must be 0 to 65535, not {self.port}"
            raise ValueError(msg)
        if not 0 < self.time_scale <= 1000:
            msg = f"time_scale must be above 0 and at most 1000, not {self.time_scale}"
            raise ValueError(msg)
