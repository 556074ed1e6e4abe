"""The API's description: /openapi.json, and /docs to read and try it, without any CDN."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse

from api.deps import public

router = APIRouter(include_in_schema=False, dependencies=[public])

# Everything is a file of our own: the pages' content security policy refuses inline scripts.
PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PhoPay API</title>
<link rel="stylesheet" href="/static/vendor/swagger-ui.css">
</head>
<body>
<main id="swagger-ui"><p><a href="/openapi.json">openapi.json</a></p></main>
<script src="/static/vendor/swagger-ui-bundle.js"></script>
<script src="/static/js/docs.js"></script>
</body>
</html>
"""


@router.get("/openapi.json")
async def show_openapi(request: Request) -> JSONResponse:
    """Describe the API for programs."""
    described: dict[str, Any] = request.app.openapi()
    return JSONResponse(described)


@router.get("/docs")
async def show_docs() -> HTMLResponse:
    """Describe the API for people."""
    return HTMLResponse(PAGE)
