"""Errors of lanes."""

from uuid import UUID

from core.errors import HubError, Kind


class LaneNotServed(HubError):
    """The lane has no controller, or is closed: somebody opens its barrier by hand."""

    kind, code, title = Kind.CONFLICT, "lane_not_served", "The lane opens on no command"

    def __init__(self) -> None:
        super().__init__("This lane has no controller. Open it by hand.")


class LaneBusy(HubError):
    """A command of this lane is under way; it ends within five seconds."""

    kind, code, title = Kind.CONFLICT, "lane_busy", "The lane is being opened"

    def __init__(self) -> None:
        super().__init__("The lane is being opened. Wait for what it says.")


class LaneReasonNeeded(HubError):
    """No vehicle was let through just now, or its barrier was opened before."""

    kind, code, title = Kind.INVALID, "lane_reason_needed", "A reason and a photo are needed"

    def __init__(self) -> None:
        super().__init__("Say why the barrier is opened, and take a photo.")


class LaneCommandIdTaken(HubError):
    """The id names a command of another lane or vehicle."""

    kind, code, title = Kind.CONFLICT, "lane_command_id_taken", "The id names another command"

    def __init__(self, command_id: UUID) -> None:
        super().__init__(f"{command_id} names another command.")


class LaneCommandNotFound(HubError):
    """No such command of this lane, or another controller has fetched it."""

    kind, code, title = Kind.NOT_FOUND, "lane_command_not_found", "Command not found"

    def __init__(self, command_id: UUID) -> None:
        super().__init__(f"No command {command_id} of yours was found.")


class LaneAnswered(HubError):
    """The command was answered otherwise before."""

    kind, code, title = Kind.CONFLICT, "lane_answered", "The command was answered otherwise"

    def __init__(self, result: str) -> None:
        super().__init__(f"The command was answered: {result}.")
