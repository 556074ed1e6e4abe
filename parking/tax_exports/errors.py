"""Errors of tax exports."""

from uuid import UUID

from core.errors import HubError, Kind


class TaxExportNotFound(HubError):
    """No such tax export in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "tax_export_not_found", "Export not found"

    def __init__(self, export_id: UUID) -> None:
        super().__init__(f"This organisation has no tax export {export_id}.")


class TaxExportIdTaken(HubError):
    """The id came with another seller, month or format before."""

    kind, code, title = Kind.CONFLICT, "tax_export_id_taken", "Id in use"

    def __init__(self, export_id: UUID) -> None:
        super().__init__(f"The id {export_id} names another export. Make a new id.")


class TaxExportNotReady(HubError):
    """The file is not written yet."""

    kind, code, title = Kind.CONFLICT, "tax_export_not_ready", "The file is not ready"

    def __init__(self) -> None:
        super().__init__("The file is not written yet. Look at its status again in a while.")


class TaxExportGone(HubError):
    """The file was kept for 30 days and is deleted."""

    kind, code, title = Kind.NOT_FOUND, "tax_export_gone", "The file is deleted"

    def __init__(self) -> None:
        super().__init__("The file was kept for 30 days. Export the month again.")


class TaxExportsTooMany(HubError):
    """An organisation has asked for as many exports in a day as it may."""

    kind, code, title = Kind.CONFLICT, "tax_exports_too_many", "Too many exports"

    def __init__(self, most: int) -> None:
        super().__init__(f"At most {most} exports a day. Use one of today's, or come tomorrow.")
