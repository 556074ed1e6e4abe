"""Errors of breaks."""

from uuid import UUID

from core.errors import HubError, Kind


class BreakNotFound(HubError):
    """No such break in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "break_not_found", "Break not found"

    def __init__(self, break_id: UUID) -> None:
        super().__init__(f"This organisation has no break {break_id}.")


class BreakClosed(HubError):
    """A break is closed once; its resolution stays."""

    kind, code, title = Kind.CONFLICT, "break_closed", "Already resolved"

    def __init__(self) -> None:
        super().__init__("This break was resolved before.")


class BreakHeld(HubError):
    """The money that a break is about is on its way; the end of that closes it, and no words do."""

    kind, code, title = Kind.CONFLICT, "break_held", "Its money is on its way"

    def __init__(self) -> None:
        super().__init__("Its money is on its way. It closes by itself once that is certain.")


class BreakNotDecidable(HubError):
    """This decision does not fit what the break is about."""

    kind, code, title = Kind.CONFLICT, "break_not_decidable", "Not to be decided so"

    def __init__(self) -> None:
        super().__init__("This break is not about money that could be decided about in this way.")


class BreakOwned(HubError):
    """Somebody else has taken the break meanwhile."""

    kind, code, title = Kind.CONFLICT, "break_owned", "Somebody else has it"

    def __init__(self) -> None:
        super().__init__("Somebody else takes care of this break by now. Read it again.")


class BreakOwnerNotFound(HubError):
    """Nobody of this organisation who may resolve breaks has this id."""

    kind, code, title = Kind.NOT_FOUND, "break_owner_not_found", "No such person"

    def __init__(self, owner_id: UUID) -> None:
        super().__init__(f"Nobody of this organisation with the id {owner_id} may resolve breaks.")


class BreakFull(HubError):
    """A break has so many notes or files that it takes no more."""

    kind, code, title = Kind.CONFLICT, "break_full", "No room for more"

    def __init__(self, most: int) -> None:
        super().__init__(f"A break has room for {most}.")


class BreakNoteIdTaken(HubError):
    """The id came with another note before."""

    kind, code, title = Kind.CONFLICT, "break_note_id_taken", "Id in use"

    def __init__(self, note_id: UUID) -> None:
        super().__init__(f"The id {note_id} names another note. Make a new one.")


class BreakFileIdTaken(HubError):
    """The id came with another file before."""

    kind, code, title = Kind.CONFLICT, "break_file_id_taken", "Id in use"

    def __init__(self, file_id: UUID) -> None:
        super().__init__(f"The id {file_id} names another file. Make a new one.")


class BreakFileNotFound(HubError):
    """No such file beside this break."""

    kind, code, title = Kind.NOT_FOUND, "break_file_not_found", "File not found"

    def __init__(self, file_id: UUID) -> None:
        super().__init__(f"There is no file {file_id} beside this break.")


class BreakFileNotTaken(HubError):
    """A file is a PDF, a PNG or a JPEG by what is in it, and not empty."""

    kind, code, title = Kind.INVALID, "break_file_not_taken", "Not a file to keep"

    def __init__(self) -> None:
        super().__init__("Attach a PDF, a PNG or a JPEG of at most 5 MiB.")
