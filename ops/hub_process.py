"""One process of the hub, serving on a socket that its parent has bound.

Run as `python -m ops.hub_process FD [CERTIFICATE KEY]`. The parent keeps the socket, so a process
that dies refuses nobody: its siblings, or its successor, accept what waits.
"""

import contextlib
import gc
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn

from core.logging import set_up_logging
from core.settings import WrongSettings, read_settings

# Streams of events never end by themselves; after this they are cut (clients reconnect).
GRACEFUL_STOP_S = 5
KEEP_ALIVE_S = 75  # longer than the 60 s that proxies keep a connection
# New objects between two collections of the young ones, and young collections between two of the
# middle ones. With Python's 700 and 10 a seventh of a busy hub's time went into collecting, and a
# full one stopped every request for 70 ms.
YOUNG_OBJECTS = 20_000
YOUNG_COLLECTIONS = 20


def main(
    descriptor: int,
    create: Callable[[], Any] | str = "api.app:create_app",
    *,
    tls: Sequence[str] = (),
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        create: makes the application; a name is imported only now.
        tls: files of a certificate and of its key; without them it speaks plain HTTP.
    """
    try:
        settings = read_settings()
    except WrongSettings as problem:
        sys.exit(f"The hub cannot start with these settings:\n{problem}")
    set_up_logging(process_name=settings.process_name, log_format=settings.log_format)
    config = uvicorn.Config(
        create,
        factory=True,
        loop="uvloop",
        http="httptools",
        access_log=False,  # the hub logs its requests itself, with their ids
        log_config=None,
        log_level="warning",
        proxy_headers=False,  # api/app.py believes the proxies of the settings, and no others
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS)
    listener = socket.socket(fileno=descriptor)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again at its end
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and collect garbage over what is there from now on no more.

        What a process holds from its start on is never garbage. Walking over it took a tenth of a
        second now and then, and every screen waited for it.
        """
        await super().startup(sockets=sockets)
        gc.collect()
        gc.freeze()


if __name__ == "__main__":
    main(int(sys.argv[1]), tls=sys.argv[2:4])
