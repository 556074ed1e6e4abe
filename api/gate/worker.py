"""The gate's service worker: a module, with the list of what the phone's page is made of."""

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api.http.deps import public
from api.http.surfaces import API, STATIC

router = APIRouter(prefix="/gate", include_in_schema=False, dependencies=[public])

SCRIPT: Final = API / "gate" / "static" / "gate_worker.js"
# What the page loads, as patterns below the folders of static files.
SHELL: Final = (
    "vendor/app.css",
    "vendor/qr.js",
    "vendor/fonts/*.woff2",
    "icons/*",
    "gate.webmanifest",
    "js/gate*.js",
    "js/device.js",
    *(f"js/{name}.js" for name in ("app", "connections", "hub_clock", "live", "requests")),
)


@router.get("/worker.js")
async def serve_worker() -> Response:
    """Serve the worker; its version follows from the files, so that a release brings a new one."""
    headers = {"Cache-Control": "no-cache", "Service-Worker-Allowed": "/gate"}
    return Response(_write_worker(), headers=headers, media_type="text/javascript")


@cache
def _write_worker() -> str:
    files = list_shell()
    version = sha256()
    for path in (*files.values(), SCRIPT):
        version.update(path.read_bytes())
    facts = (
        f"const SHELL = {json.dumps(list(files))};\nconst VERSION = {version.hexdigest()[:16]!r};\n"
    )
    return facts + SCRIPT.read_text("utf-8")


def list_shell() -> dict[str, Path]:
    """Return what the page is made of: its address, and its file."""
    found = {}
    for folder in STATIC:
        for pattern in SHELL:
            for path in sorted(folder.glob(pattern)):
                found[f"/static/{path.relative_to(folder).as_posix()}"] = path
    return found
