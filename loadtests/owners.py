"""From a callback to the owner of its bill: the hub's log says when each change was handled."""

import json
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from loadtests import processes
from loadtests.flood import Flood
from loadtests.installation import HOST, Installation
from loadtests.wire import SendingJob, SendingLog

SENDING_CONNECTIONS: Final = 32
LATE_S: Final = 15.0  # after the last callback; what comes later is not notified
LOOK_EVERY_S: Final = 0.2


def await_owners(
    installation: Installation, flood: Flood, *, calls_per_s: float
) -> tuple[dict[int, float], SendingLog]:
    """Send callbacks at a steady pace and wait until each bill's owner is notified.

    Returns:
        (when each call's owner had its change committed, the sender's log); monotonic seconds.
    """
    sending = SendingJob(
        host=HOST,
        port=installation.port,
        connections=SENDING_CONNECTIONS,
        calls=flood.calls,
        calls_per_s=calls_per_s,
    )
    log = processes.send(sending, installation.folder)
    call_of = {str(payment.bill_id): call for call, payment in enumerate(flood.payments)}
    files = [hub.log for hub in installation.hubs if hub.log is not None]
    deadline_s = time.monotonic() + LATE_S
    notified = _read_notified(files, call_of)
    while len(notified) < len(call_of) and time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S)
        notified = _read_notified(files, call_of)
    return notified, log


def _read_notified(files: Sequence[Path], call_of: dict[str, int]) -> dict[int, float]:
    to_monotonic_s = time.monotonic() - time.time()
    notified: dict[int, float] = {}
    for file in files:
        for text in file.read_text(encoding="utf-8").splitlines():
            if "owner.notified" not in text:
                continue
            line = json.loads(text)
            call = call_of.get(line["subject"])
            if call is not None:
                at_s = datetime.fromisoformat(line["timestamp"]).timestamp() + to_monotonic_s
                notified.setdefault(call, at_s)
    return notified
