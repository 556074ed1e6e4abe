"""python -m sandbox --port 8001 --data DIR --seed 1: run the sandbox as its own process."""

import argparse
from pathlib import Path

import uvicorn

from sandbox.main import create_app
from sandbox.settings import Settings
from sandbox.snapshot import SnapshotUnreadable


def main(arguments: list[str] | None = None) -> None:
    """Read the options and serve until interrupted."""
    options = _read_options(arguments)
    try:
        settings = Settings(
            host=options.host, port=options.port, data_dir=options.data, seed=options.seed,
            time_scale=options.time_scale, hub_url=options.hub_url, url=options.url,
        )  # fmt: skip
        app = create_app(settings)
    except (SnapshotUnreadable, ValueError) as error:
        raise SystemExit(f"sandbox: {error}") from error
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


def _read_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; it has no login")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--data", type=Path, default=None, help="folder of the snapshot")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--time-scale", type=float, default=1.0, help="0.01 runs retry schedules 100 times faster"
    )
    parser.add_argument("--url", default="", help="how others reach it, if not by host and port")
    parser.add_argument("--hub-url", default="", help="linked from the front page")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
