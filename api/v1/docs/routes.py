"""The API's description: /openapi.json, and /docs to read and try it, without any CDN."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse

from api.http.deps import public
from api.http.templating import templates

router = APIRouter(include_in_schema=False, dependencies=[public])


@router.get("/openapi.json")
async def show_openapi(request: Request) -> JSONResponse:
    """Describe the API for programs."""
    described: dict[str, Any] = request.app.openapi()
    return JSONResponse(described)


@router.get("/docs")
async def show_docs(request: Request) -> HTMLResponse:
    """Describe the API for people: Swagger UI from our own files, under the same strict policy."""
    return templates.TemplateResponse(request, "api_docs.html", {"openapi_url": "/openapi.json"})
