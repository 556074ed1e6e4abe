"""The cookie that carries a person's sign-in: its name, setting it, clearing it."""

from typing import Final

from starlette.responses import Response

from core.settings import Settings

COOKIE: Final = "phopay_sign_in"


# Browsers take this one over TLS only, for path / and from this very host, not from a sibling.
HOST_COOKIE: Final = f"__Host-{COOKIE}"


def name_cookie(settings: Settings) -> str:
    """Return the name of the sign-in's cookie; without TLS browsers refuse the stricter one."""
    return HOST_COOKIE if settings.is_production else COOKIE


def set_sign_in_cookie(response: Response, settings: Settings, value: str) -> None:
    """Give the browser its sign-in: out of reach of scripts, and of other sites' requests."""
    response.set_cookie(
        name_cookie(settings),
        value,
        max_age=settings.sign_in_max_s,
        path="/",
        httponly=True,
        secure=settings.is_production,
        samesite="lax",
    )


def clear_sign_in_cookie(response: Response, settings: Settings) -> None:
    """Take the sign-in from the browser."""
    response.delete_cookie(
        name_cookie(settings),
        path="/",
        httponly=True,
        secure=settings.is_production,
        samesite="lax",
    )
