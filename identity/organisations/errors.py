"""Errors of organisations and their codes."""

from core.errors import HubError, Kind


class OrganisationCodeTaken(HubError):
    """Another organisation has this code."""

    kind, code, title = Kind.CONFLICT, "organisation_code_taken", "The code is taken"

    def __init__(self, org_code: str) -> None:
        super().__init__(f"The organisation code {org_code!r} is in use. Choose another.")


class BadOrganisationCode(HubError):
    """A code is four characters of the reference alphabet."""

    kind, code, title = Kind.INVALID, "bad_organisation_code", "The code cannot be used"

    def __init__(self, org_code: str) -> None:
        super().__init__(
            f"{org_code!r} cannot be an organisation code: use four characters of"
            " 23456789ABCDEFGHJKMNPQRSTVWXYZ (no 0 O 1 I L U)."
        )


class OrganisationNotFound(HubError):
    """No organisation has this code."""

    kind, code, title = Kind.NOT_FOUND, "organisation_not_found", "Organisation not found"

    def __init__(self, org_code: str) -> None:
        super().__init__(f"No organisation has the code {org_code!r}.")
