"""OpenAPI of every route: its errors, its permission, and one shape for problems."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

from api.http.errors import InternalError, may_answer
from api.http.problem import Problem
from core.errors import (
    BodyTooLarge,
    Busy,
    Forbidden,
    HubError,
    InvalidRequest,
    TooManyRequests,
    Unauthenticated,
)
from identity.devices.errors import DeviceRevoked, DeviceTokenNotValid
from identity.organisations.errors import OrganisationNotFound
from identity.people.errors import (
    ApiKeyNotValid,
    CrossSiteRequest,
    SignInEnded,
    WholeOrganisationNeeded,
)
from identity.people.rules import NARROWED, Permission

VERSION: Final = "0.3.0"
DESCRIPTION: Final = """\
Amounts are whole đồng in integers, instants are RFC 3339 with an offset, ids are UUIDs.

Every error is a problem (RFC 9457, `application/problem+json`): match on its `code`, show its
`detail` to people, and quote its `request_id` when asking for help. `503` and `429` carry
`Retry-After` and may be repeated unchanged. Every `POST` that makes something takes an
`Idempotency-Key` or names what it makes, so that it may be sent again when an answer was lost.
"""
TAGS: Final = [
    {"name": "health", "description": "For supervisors and load balancers."},
    {"name": "identity", "description": "Signing in, people, API keys."},
    {"name": "devices", "description": "Phones at a gate: enrolment, tokens, PINs."},
    {"name": "organisations", "description": "The tenants of the hub."},
    {"name": "payees", "description": "Who is paid, and their receiving accounts."},
    {"name": "bills", "description": "A sum to be paid once, and the VietQR code that pays it."},
    {"name": "payments", "description": "Bank credits, what they were matched to, and breaks."},
    {
        "name": "callbacks",
        "description": "Where banks report money, and what they sent.",
    },
    {"name": "webhooks", "description": "Where events are sent to, and what answered them."},
    {"name": "parking", "description": "Lots, vehicles in and out, and what they pay."},
    {"name": "toll", "description": "Contracts with toll operators, and refunds of charges."},
    {"name": "refunds", "description": "Money that goes back to payers, and who decides it."},
    {"name": "complaints", "description": "What citizens complain of, and the answers."},
    {"name": "apds", "description": "Parking in the words of APDS 4.0, and open data."},
    {"name": "search", "description": "One box over money, statements and parking."},
    {"name": "statements", "description": "Files of banks: kept, read, and accepted by day."},
    {"name": "days", "description": "Days of the books: closed by account, and never again."},
    {"name": "settlements", "description": "What a payee took in a period, and whose it is."},
    {
        "name": "tax exports",
        "description": "A seller's parking transactions of a month, as a file.",
    },
    {"name": "jobs", "description": "Work that outlives a request, and how far it has come."},
]
ALWAYS: Final[tuple[type[HubError], ...]] = (InvalidRequest, TooManyRequests, InternalError, Busy)
NEEDS_CALLER: Final[tuple[type[HubError], ...]] = (
    Unauthenticated,
    SignInEnded,
    ApiKeyNotValid,
    DeviceTokenNotValid,
    DeviceRevoked,
)


def install(app: FastAPI, *, examples: Mapping[str, Any]) -> None:
    """Let `app.openapi()` give the whole description, made once.

    Args:
        examples: for each schema by its name.
    """

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build_openapi(app, examples)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def build_openapi(app: FastAPI, examples: Mapping[str, Any]) -> dict[str, Any]:
    """Describe every route, with the errors that it shares with others."""
    contexts = list(iter_route_contexts(app.routes))
    described = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        tags=app.openapi_tags,
        license_info=app.license_info,
        routes=app.routes,
    )
    declared = {
        (context.path, method.lower()): declaration_of(context)
        for context in contexts
        for method in context.methods or ()
    }
    for path, item in described["paths"].items():
        for method, operation in item.items():
            _complete(operation, declared.get((path, method)), method)
    schemas = described.get("components", {}).get("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for name, example in examples.items():
        schemas[name]["examples"] = [example]
    _name_problem_schema(described)
    return described


def declaration_of(route: BaseRoute | RouteContext) -> str | None:
    """Return what a route declares: a permission, "signed_in", "public", or None."""
    dependant = getattr(route, "dependant", None)
    if not isinstance(dependant, Dependant):
        return None
    found = {str(declared) for declared in _walk(dependant)}
    # The strictest counts: a router may be signed_in and one of its routes need more.
    return min(found, key=lambda word: (word == "public", word == "signed_in"), default=None)


def _walk(dependant: Dependant) -> Iterator[Permission | str]:
    declared = getattr(dependant.call, "declares", None)
    if declared is not None:
        yield declared
    for inner in dependant.dependencies:
        yield from _walk(inner)


def _complete(operation: dict[str, Any], declares: str | None, method: str) -> None:
    """Add the errors from outside the route: who may call it, limits, our own mistakes."""
    errors = list(ALWAYS)
    if declares != "public":
        errors += NEEDS_CALLER
        if declares != "signed_in":
            operation["x-permission"] = declares
            errors += [Forbidden, OrganisationNotFound]  # the latter for `?org=`
            if declares not in NARROWED:
                errors.append(WholeOrganisationNeeded)
        if method not in ("get", "head"):
            errors.append(CrossSiteRequest)
    else:
        operation["security"] = []
    if "requestBody" in operation:
        errors.append(BodyTooLarge)
    responses = operation["responses"]
    # FastAPI declares its own validation error wherever there are parameters.
    if "application/problem+json" not in responses.get("422", {}).get("content", {}):
        responses.pop("422", None)
    for status, answer in may_answer(*errors).items():
        known = responses.setdefault(str(status), {"description": answer["description"]})
        content = known.setdefault("content", {})
        content.pop("application/json", None)
        problem = content.setdefault("application/problem+json", {})
        examples = {**answer["content"]["application/problem+json"]["examples"]}
        problem["examples"] = {**problem.get("examples", {}), **examples}
        titles = " · ".join(f"`{code}`" for code in problem["examples"])
        known["description"] = f"Problem: {titles}"
    for status, answer in responses.items():
        problem = answer.get("content", {}).get("application/problem+json")
        if problem is not None:
            answer["content"].pop("application/json", None)
            problem["schema"] = {"$ref": "#/components/schemas/Problem"}
        if status in ("429", "503"):
            answer["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }


def _name_problem_schema(described: dict[str, Any]) -> None:
    """Make sure that the problem's schema is there even when no route names it."""
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
