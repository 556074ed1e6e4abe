"""From a callback to the vendor's screen: a sender and a listener, each a process of its own."""

from typing import Final

from loadtests import processes
from loadtests.flood import Flood
from loadtests.installation import HOST, Installation
from loadtests.wire import ListeningJob, SendingJob, SendingLog

SENDING_CONNECTIONS: Final = 32
LATE_S: Final = 15.0  # after the last callback; what comes later is not received


def await_payments(
    installation: Installation, flood: Flood, streams: list[tuple[str, str]], *, calls_per_s: float
) -> tuple[dict[int, float], SendingLog]:
    """Send callbacks at a steady pace while every stall's screen listens.

    Returns:
        (when each call's payment was first received, the sender's log); monotonic seconds.
    """
    call_of = {payment.reference: call for call, payment in enumerate(flood.payments)}
    call_of |= {str(payment.bill_id): call for call, payment in enumerate(flood.payments)}
    listening = ListeningJob(
        host=HOST,
        port=installation.port,
        streams=streams,
        awaited=list(call_of),
        awaited_count=len(flood.calls),
        timeout_s=len(flood.calls) / calls_per_s + LATE_S,
    )
    sending = SendingJob(
        host=HOST,
        port=installation.port,
        connections=SENDING_CONNECTIONS,
        calls=flood.calls,
        calls_per_s=calls_per_s,
    )
    with processes.listening(listening, installation.folder) as listener:
        log = processes.send(sending, installation.folder)
        events = listener.read_log().events
    received: dict[int, float] = {}
    for event in events:
        received.setdefault(call_of[event.name], event.at_s)
    return received, log
