"""structlog, one line per event: JSON in production, readable text on a terminal."""

import logging
import re
import sys
from typing import Final, Literal

import structlog

# CODE-token: whoever knows such an address may open what it leads to.
_TOKEN_IN_PATH: Final = re.compile(r"(/[2-9A-HJKMNP-TV-Z]{4}-)[A-Za-z0-9_-]{12,}")


def set_up_logging(*, process_name: str, log_format: Literal["console", "json"]) -> None:
    """Send structlog and the standard library's records to standard error, one line each."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process_name)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s"
    )


def mask_tail(value: str, *, shown: int = 4) -> str:
    """Hide all but the last characters of an account number or a plate: "…6789"."""
    return f"…{value[-shown:]}" if len(value) > shown else "…"


def mask_path(path: str) -> str:
    """Hide the random token in an address: a log line must not open what it opens."""
    return _TOKEN_IN_PATH.sub(r"\1…", path)
