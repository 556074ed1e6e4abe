"""Requests that are taken at their word: no parameter that is not known, no key that stands twice.

What a client meant by `?from=…` where the parameter is `since`, or by two amounts in one body,
cannot be guessed; to ignore it would answer another request than was made.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from core.errors import InvalidRequest, Violation

IS_JSON: Final = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;|$)", re.IGNORECASE)
BOM: Final = b"\xef\xbb\xbf"

_NAME_CHARS_SHOWN: Final = 40


class _RepeatedKey(Exception):
    """A key stands twice in one object."""


async def _read_strictly(request: Request) -> None:
    """Refuse unknown parameters and repeated keys before a route reads anything.

    Raises:
        InvalidRequest: with the parameter or the key.
    """
    check_query(request)
    if IS_JSON.match(request.headers.get("content-type", "")):
        check_keys(await request.body())


# For every route of the API but the callbacks, whose addresses and bodies are the providers'.
strictly: Final[Any] = Depends(_read_strictly)


def check_query(request: Request) -> None:
    """Refuse a parameter that this address does not have, or a single one that came twice.

    Raises:
        InvalidRequest
    """
    if not request.scope["query_string"]:
        return
    known = _list_parameters(request.app).get(request.scope["endpoint"], {})
    violations = []
    for name in request.query_params:
        shown = name[:_NAME_CHARS_SHOWN]
        if name not in known:
            has = f"it has: {', '.join(sorted(known))}" if known else "it has none"
            detail = f"This address has no parameter {shown!r}; {has}."
            code = "unknown_parameter"
        elif not known[name] and len(request.query_params.getlist(name)) > 1:
            detail, code = f"The parameter {shown!r} may stand once.", "repeated_parameter"
        else:
            continue
        violations.append(Violation(field=f"query.{shown}", code=code, detail=detail))
    if violations:
        raise InvalidRequest(violations[0].detail, violations=violations)


def check_keys(body: bytes) -> None:
    """Refuse a JSON body in which a key stands twice in one object, at any depth.

    What is not JSON at all is left to whoever reads it.

    Raises:
        InvalidRequest
    """
    try:
        json.loads(body, object_pairs_hook=_refuse_repeated)
    except _RepeatedKey as error:
        detail = f"The key {str(error)[:_NAME_CHARS_SHOWN]!r} stands twice; send it once."
        violation = Violation(
            field=str(error)[:_NAME_CHARS_SHOWN], code="repeated_key", detail=detail
        )
        raise InvalidRequest(detail, violations=[violation]) from None
    except (ValueError, RecursionError):
        return


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _RepeatedKey(next(key for key, count in counts.items() if count > 1))


def _list_parameters(app: FastAPI) -> dict[object, dict[str, bool]]:
    """Return each route's query parameters, by its function, and whether they may be repeated."""
    known: dict[object, dict[str, bool]] | None = getattr(app.state, "parameters", None)
    if known is None:
        known = {
            context.endpoint: dict(_walk(context.dependant))
            for context in iter_route_contexts(app.routes)
            if isinstance(getattr(context, "dependant", None), Dependant)
        }
        app.state.parameters = known
    return known


def _walk(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for parameter in dependant.query_params:
        yield parameter.alias, _is_list(parameter.field_info.annotation)
    for inner in dependant.dependencies:
        yield from _walk(inner)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))
