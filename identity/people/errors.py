"""Errors of signing in and of API keys."""

from collections.abc import Sequence

from core.errors import HubError, Kind, Violation
from identity.people.rules import Scope, ScopeKind


class LoginFailed(HubError):
    """Unknown login, wrong password, disabled or locked: one answer for all four."""

    kind, code, title = Kind.UNAUTHENTICATED, "login_failed", "Login failed"

    def __init__(self) -> None:
        super().__init__(
            "The login or the password is wrong, or the login is locked for a while after"
            " five wrong attempts."
        )


class SignInEnded(HubError):
    """The sign-in was ended by the person, revoked, or unused for too long."""

    kind, code, title = Kind.UNAUTHENTICATED, "sign_in_ended", "Signed out"


class ApiKeyNotValid(HubError):
    """The API key is unknown, revoked or expired: one answer for all three."""

    kind, code, title = Kind.UNAUTHENTICATED, "api_key_not_valid", "API key not valid"

    def __init__(self) -> None:
        super().__init__("The API key is unknown, revoked or expired.")


class CrossSiteRequest(HubError):
    """A browser sent this request on behalf of another site; cookies do not count then."""

    kind, code, title = Kind.FORBIDDEN, "cross_site_request", "Sent from another site"

    def __init__(self) -> None:
        super().__init__("This request was not sent by one of the hub's own pages.")


class SetupClosed(HubError):
    """The one-time token is unknown, used or too old, or the hub has its administrator."""

    kind, code, title = Kind.FORBIDDEN, "setup_closed", "Set-up is closed"

    def __init__(self) -> None:
        super().__init__("The set-up token is not valid: unknown, already used or too old.")


class PasswordRefused(HubError):
    """The new password or login breaks a rule; `violations` says which."""

    kind, code, title = Kind.INVALID, "password_refused", "Password or login not accepted"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(" ".join(v.detail for v in violations), violations=violations)


class LoginTaken(HubError):
    """Somebody in the hub already signs in with this name."""

    kind, code, title = Kind.CONFLICT, "login_taken", "Login taken"

    def __init__(self, login: str) -> None:
        super().__init__(f"The login {login!r} is taken; choose another.")


class StaffNotFound(HubError):
    """Nobody in this organisation has this id."""

    kind, code, title = Kind.NOT_FOUND, "staff_not_found", "Person not found"

    def __init__(self) -> None:
        super().__init__("No such person works here.")


class RoleNotGrantable(HubError):
    """Nobody grants, takes or touches more than they hold themselves."""

    kind, code, title = Kind.FORBIDDEN, "role_not_grantable", "Role not yours to grant"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or "You can only manage people who may do no more than you may.")


class DutiesNotSeparated(HubError):
    """One login would both approve accounts and propose them, or make the person who does."""

    kind, code, title = Kind.INVALID, "duties_not_separated", "Duties not separated"

    def __init__(self) -> None:
        super().__init__(
            "Who approves accounts can be neither manager nor vendor's owner: an account takes two"
            " people. Give these roles to two logins."
        )


class PayeeRequired(HubError):
    """A vendor's owner or cashier works for at least one payee."""

    kind, code, title = Kind.INVALID, "payee_required", "Payee missing"

    def __init__(self) -> None:
        super().__init__("Owners and cashiers need a scope: the payee that they work for.")


class ScopeNotFound(HubError):
    """The organisation has nothing of this kind with this id."""

    kind, code, title = Kind.INVALID, "scope_not_found", "Scope not found"

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"This organisation has no {scope.kind.value} {scope.id}.")


class RolesNotScoped(HubError):
    """One of the roles acts on the whole organisation, so its holder cannot be held to scopes."""

    kind, code, title = Kind.INVALID, "roles_not_scoped", "Role not for a part of it"

    def __init__(self) -> None:
        super().__init__(
            "Only owners, cashiers and attendants are held to scopes. Other roles work for the"
            " whole organisation: leave the scopes out, or give them to another login."
        )


class WholeOrganisationNeeded(HubError):
    """This acts on the whole organisation, and the caller works for a part of it."""

    kind, code, title = Kind.FORBIDDEN, "whole_organisation_needed", "For the whole organisation"

    def __init__(self) -> None:
        super().__init__("Only people who work for the whole organisation may do this.")


class ScopeNeeded(HubError):
    """The caller works for several, and the request does not say for which one it is."""

    kind, code, title = Kind.INVALID, "scope_needed", "Say which one"

    def __init__(self, kind: ScopeKind) -> None:
        super().__init__(f"You work for several: name one ({kind.value}_id).")


class LastAdministrator(HubError):
    """The organisation would be left without anybody who can manage it."""

    kind, code, title = Kind.CONFLICT, "last_administrator", "Last administrator"

    def __init__(self) -> None:
        super().__init__("This is the last administrator; make another one first.")


class ApiKeyNotFound(HubError):
    """This organisation has no API key with this id."""

    kind, code, title = Kind.NOT_FOUND, "api_key_not_found", "API key not found"

    def __init__(self) -> None:
        super().__init__("No such API key.")


class ApiKeyClosed(HubError):
    """The key is revoked or expired and cannot be rotated; make a new one."""

    kind, code, title = Kind.CONFLICT, "api_key_closed", "API key closed"

    def __init__(self) -> None:
        super().__init__("This key is revoked or expired; make a new one instead.")


class KeyOverAlready(HubError):
    """The key's end lies in the past: it would never have worked."""

    kind, code, title = Kind.INVALID, "key_over_already", "The key would be over"

    def __init__(self) -> None:
        detail = "The end of a key lies in the future; leave it out for a key without an end."
        violation = Violation(field="expires_at", code="in_the_past", detail=detail)
        super().__init__(detail, violations=[violation])


class ScopeNotGrantable(HubError):
    """The scope is not one a key may have, or the caller does not hold it."""

    kind, code, title = Kind.FORBIDDEN, "scope_not_grantable", "Scope not yours to grant"

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__(f"You cannot give a key these scopes: {', '.join(scopes)}.")


class KeyLotNeeded(HubError):
    """A lane's controller serves one lot: a key that serves lanes is held to it."""

    kind, code, title = Kind.INVALID, "key_lot_needed", "Name the lot of the key"

    def __init__(self) -> None:
        super().__init__("A key with lanes.serve is of one lot: name it in lot_id.")


class OwnPassword(HubError):
    """One's own password is changed with the present one, and not reset without it."""

    kind, code, title = Kind.FORBIDDEN, "own_password", "Your own password"

    def __init__(self) -> None:
        super().__init__(
            "Change your own password with the present one: POST /v1/me/password, or the page"
            " /me/password."
        )


class WrongPassword(HubError):
    """The present password, required for a change, is not right."""

    kind, code, title = Kind.INVALID, "wrong_password", "Wrong password"

    def __init__(self) -> None:
        super().__init__("The present password is not right.")
