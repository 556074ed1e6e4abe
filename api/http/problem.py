"""The one shape of an error: RFC 9457 with `code`, `violations` and `request_id`."""

from pydantic import BaseModel, ConfigDict, Field


class ViolationRead(BaseModel):
    """One thing wrong with one field."""

    field: str = Field(description="Where it stands, e.g. `bills[3].amount_vnd`.")
    code: str = Field(description="Stable, for programs.")
    detail: str = Field(description="For people.")


class Problem(BaseModel):
    """An error (RFC 9457). Match on `code`; docs/errors.md lists every one."""

    model_config = ConfigDict(json_schema_extra={"description": "An error, RFC 9457."})

    type: str = Field(description="`/problems/` and the code.")
    title: str
    status: int
    code: str
    detail: str
    request_id: str = Field(description="Quote it when you ask for help.")
    violations: list[ViolationRead] = []
