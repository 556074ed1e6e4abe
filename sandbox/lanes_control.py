"""The control of lane controllers."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.errors import NotFound, SandboxFull
from sandbox.lanes import Lane, LaneChange, NewLane
from sandbox.wire import answer_json, read_json, world_of

LANES_MAX: Final = 100


async def add_lane(request: Request) -> Response:
    """Let a controller serve a lane; the same lane again replaces it."""
    wanted = await read_json(request, NewLane)
    lanes = world_of(request).lanes
    if (known := lanes.pop(wanted.access_id, None)) is not None:
        await known.stop()
    if len(lanes) >= LANES_MAX:
        raise SandboxFull(f"At most {LANES_MAX} lanes.")
    lane = lanes[wanted.access_id] = Lane(wanted)
    lane.start()
    return answer_json(lane.describe(), 201)


async def change_lane(request: Request) -> Response:
    """Let a barrier open, be stuck or silent."""
    lane, change = _find(request), await read_json(request, LaneChange)
    lane.behaviour, lane.answers_after_ms = change.behaviour, change.answers_after_ms
    return answer_json(lane.describe())


async def show_lanes(request: Request) -> Response:
    """Show the barriers and what they carried out."""
    lanes = world_of(request).lanes.values()
    return answer_json({"lanes": [lane.describe() for lane in lanes]})


def _find(request: Request) -> Lane:
    lane = world_of(request).lanes.get(request.path_params["id"])
    if lane is None:
        raise NotFound("There is no such lane.")
    return lane


ROUTES: Final = [
    Route("/control/lanes", add_lane, methods=["POST"]),
    Route("/control/lanes", show_lanes),
    Route("/control/lanes/{id}", change_lane, methods=["POST"]),
]
