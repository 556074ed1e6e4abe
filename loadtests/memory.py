"""Memory of the hub's processes while a journey runs: the most one held, and whether it grows."""

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from ops.processes import Child

EVERY_S: Final = 2.0
WARM_AFTER: Final = 0.2  # of a run: by then caches and pools are filled
COMPARED: Final = 0.2  # of a run, at each end
SAMPLES_MIN: Final = 30  # fewer say nothing about growth


@dataclass(kw_only=True)
class Memory:
    """What each hub process held, in MiB, one sample every two seconds."""

    samples: dict[int, list[float]] = field(default_factory=dict)

    @property
    def most_mib(self) -> float:
        """The most that one process held at a sample."""
        return max((max(held) for held in self.samples.values()), default=0.0)

    @property
    def growth(self) -> float | None:
        """How much the process that grew most held at the end, as a share of what it held warm.

        None where the run was too short to say so.
        """
        shares = [find_growth(held) for held in self.samples.values() if len(held) >= SAMPLES_MIN]
        return max(shares, default=None)


def find_growth(held: Sequence[float]) -> float:
    """Return (last fifth ÷ the fifth after the first) − 1, by medians."""
    warm, compared = int(len(held) * WARM_AFTER), max(1, int(len(held) * COMPARED))
    return median(held[-compared:]) / median(held[warm : warm + compared]) - 1


@contextlib.contextmanager
def watching_memory(hubs: Sequence[Child]) -> Iterator[Memory]:
    """Take samples of these processes until the block ends."""
    memory, ended = Memory(), threading.Event()

    def sample() -> None:
        while not ended.wait(EVERY_S):
            for hub in hubs:
                held_mib = _read_rss_mib(hub.process.pid)
                if held_mib is not None:
                    memory.samples.setdefault(hub.process.pid, []).append(held_mib)

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()


def _read_rss_mib(pid: int) -> float | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1_024 if found else None
