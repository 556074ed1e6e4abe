"""Errors of the way out."""

from typing import Final
from uuid import UUID

from core.errors import HubError, Kind
from parking.places.rules import PaymentTiming


class ParkingSessionNotFound(HubError):
    """No such parking session in this organisation, or not one that the caller may see."""

    kind, code, title = Kind.NOT_FOUND, "parking_session_not_found", "Parking session not found"

    def __init__(self, name: object) -> None:
        super().__init__(f"No parking session {name} was found.")


class TicketNotFound(HubError):
    """The link of a ticket opens no parking session, whatever is wrong with it."""

    kind, code, title = Kind.NOT_FOUND, "ticket_not_found", "Ticket not found"

    def __init__(self) -> None:
        super().__init__("No ticket was found. Scan the code on the ticket again.")


class LostTicketNotReported(HubError):
    """The price of a lost ticket is asked for, and nobody reported the ticket lost."""

    kind, code, title = Kind.CONFLICT, "lost_ticket_not_reported", "Ticket not reported lost"

    def __init__(self) -> None:
        super().__init__("Report the ticket lost first, with a photo of the owner's papers.")


_WHEN_PAID: Final = {
    PaymentTiming.PAY_ON_ENTRY: "at the entry",
    PaymentTiming.PAY_PRIOR_TO_EXIT: "before the vehicle goes to the exit",
    PaymentTiming.PAY_AND_EXIT: "at the exit",
}


class PrepayNotOffered(HubError):
    """A lot takes no money ahead: its payment timing is another."""

    kind, code, title = Kind.CONFLICT, "prepay_not_offered", "Nothing is paid ahead here"

    def __init__(self, timing: PaymentTiming) -> None:
        when = _WHEN_PAID[timing]
        super().__init__(f"Here a stay is paid {when}: ask for a quote without `stay_minutes`.")


class AmountNotDue(HubError):
    """Another amount is due by now: the stay has grown, or somebody has paid."""

    kind, code, title = Kind.CONFLICT, "amount_not_due", "Another amount is due"

    def __init__(self, due_vnd: int) -> None:
        super().__init__(f"{due_vnd} ₫ are due by now. Ask for a new quote.")


class NothingDue(HubError):
    """The stay is paid, on a pass or free so far: nothing may be taken for it."""

    kind, code, title = Kind.CONFLICT, "nothing_due", "Nothing is due"

    def __init__(self) -> None:
        super().__init__("Nothing is due for this parking session.")


class NotPaid(HubError):
    """Something is due; the vehicle leaves once it is paid, or for a reason in writing."""

    kind, code, title = Kind.CONFLICT, "not_paid", "The stay is not paid"

    def __init__(self, due_vnd: int, *, session_id: UUID) -> None:
        super().__init__(f"{due_vnd} ₫ are due. Take the payment, or say why it leaves without.")
        self.due_vnd, self.session_id = due_vnd, session_id


class UnconfirmedLimitReached(HubError):
    """The shift has let out as many on unconfirmed transfers as its lot allows."""

    kind, code, title = Kind.FORBIDDEN, "unconfirmed_limit_reached", "Too many unconfirmed exits"

    def __init__(self) -> None:
        super().__init__(
            "This shift has let out as many unconfirmed transfers as the lot allows. Take another"
            " payment, or ask somebody who may override."
        )


class MovementNotFound(HubError):
    """The lot has no such opening by hand; its phone may not have sent it yet."""

    kind, code, title = Kind.NOT_FOUND, "movement_not_found", "Movement not found"

    def __init__(self, movement_id: object) -> None:
        super().__init__(f"No opening by hand at this lot has the id {movement_id}.")


class ExitPhotoNeeded(HubError):
    """It leaves unpaid or by hand, and there is no photo of it, nor a reason that counts."""

    kind, code, title = Kind.INVALID, "exit_photo_needed", "A photo of the vehicle is needed"

    def __init__(self) -> None:
        super().__init__(
            "Take a photo of the vehicle that leaves. Without one say why there is none; unless it"
            " drove off, that takes somebody who may override."
        )


class NotInside(HubError):
    """The stay is over: it was left, or voided."""

    kind, code, title = Kind.CONFLICT, "not_inside", "The vehicle is not inside"

    def __init__(self, status: str) -> None:
        super().__init__(f"The parking session is {status}.")


class NotUnderReview(HubError):
    """The stay is not under review, or was decided the other way."""

    kind, code, title = Kind.CONFLICT, "not_under_review", "Not under review"

    def __init__(self, status: str) -> None:
        super().__init__(f"The parking session is {status}; there is nothing to decide.")


class PlateDiffers(HubError):
    """Another plate goes out than came in: compare both photos before you confirm it."""

    kind, code, title = Kind.CONFLICT, "plate_differs", "The plate is another"

    def __init__(self) -> None:
        super().__init__("Another plate came in. Compare the photos, then confirm.")


class PassNotValid(HubError):
    """The pass is not in force here today, not for this vehicle, or another one is inside on it."""

    kind, code, title = Kind.CONFLICT, "pass_not_valid", "The pass does not cover this stay"

    def __init__(self) -> None:
        super().__init__(
            "The pass is not in force at this lot today, not for this vehicle,"
            " or another of its vehicles is inside on it."
        )


class ExitNotUndoable(HubError):
    """An exit is undone by who recorded it, within ten seconds."""

    kind, code, title = Kind.CONFLICT, "exit_not_undoable", "The exit cannot be undone"


class EntryNotUndoable(HubError):
    """An entry is undone by who recorded it, within ten seconds, while nothing hangs on it."""

    kind, code, title = Kind.CONFLICT, "entry_not_undoable", "The entry cannot be undone"


class CredentialInside(HubError):
    """That plate or ticket is inside already, by another session: a person joins or parts them."""

    kind, code, title = Kind.CONFLICT, "credential_inside", "It is inside already"

    def __init__(self) -> None:
        super().__init__("This plate or ticket is inside already.")


class StaysNotJoinable(HubError):
    """Two stays become one that are of one lot and class, and of which one is inside."""

    kind, code, title = Kind.CONFLICT, "stays_not_joinable", "The stays cannot be joined"


class StayIdTaken(HubError):
    """A client-made id parted another vehicle before."""

    kind, code, title = Kind.CONFLICT, "stay_id_taken", "The id names another stay"

    def __init__(self) -> None:
        super().__init__("The id was used for another vehicle. Make a new id.")


class StayWasPaid(HubError):
    """Something was paid for the stay: its vehicle was there."""

    kind, code, title = Kind.CONFLICT, "stay_was_paid", "The stay was paid"

    def __init__(self) -> None:
        super().__init__("Something was paid for this stay: its vehicle was there.")
