"""Holding every answer of a test against the OpenAPI that the hub itself gives."""

import re
from functools import lru_cache
from typing import Any

import httpx
import jsonschema_rs
from fastapi import FastAPI

_validators: dict[tuple[int, int], tuple[Any, dict[str, Any]]] = {}


def keep_contract(app: FastAPI, client: httpx.AsyncClient) -> None:
    """Fail the test when an answer has a status, an error code or a body that is not declared."""

    async def check(response: httpx.Response) -> None:
        if "text/event-stream" not in response.headers.get("content-type", ""):
            await response.aread()
            check_answer(app, response)

    client.event_hooks["response"].append(check)


def check_answer(app: FastAPI, response: httpx.Response) -> None:
    """Check one answer."""
    described = app.openapi()
    path = response.request.url.path
    operation = find_operation(described, path, response.request.method.lower())
    answers = operation["responses"]
    assert str(response.status_code) in answers, f"{path}: {response.text}"
    if response.status_code in (204, 304):
        assert not response.content
        return
    media_type = response.headers["content-type"].partition(";")[0]
    declared = answers[str(response.status_code)]["content"]
    assert media_type in declared, f"{path}: {media_type} is not in {list(declared)}"
    if media_type == "application/problem+json":
        codes = declared[media_type]["examples"]
        assert response.json()["code"] in codes, f"{path}: {response.json()['code']} is undeclared"
    if media_type.endswith("json"):
        _validator(described, declared[media_type]["schema"]).validate(response.json())


def find_operation(described: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    """Return the description of the route that an address belongs to."""
    for template, item in described["paths"].items():
        if method in item and _pattern(template).fullmatch(path):
            found: dict[str, Any] = item[method]
            return found
    raise AssertionError(f"{method.upper()} {path} is not in the OpenAPI")


def _validator(described: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Return what holds a body against a schema; each is made once, since that takes 4 ms."""
    key = (id(described), id(schema))
    if key not in _validators:
        whole = {**schema, "components": described["components"]}
        made = jsonschema_rs.validator_for(whole, validate_formats=True)
        # With the description itself, so that nothing else ever has its identity.
        _validators[key] = (made, described)
    return _validators[key][0]


@lru_cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", template))
