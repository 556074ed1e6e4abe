"""Fields that many requests share: what a text or an amount may be."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from core.money import TRANSFER_VND_MAX

NAME_CHARS_MAX: Final = 120


def refuse_control_characters(value: str) -> str:
    """Refuse what no keyboard types and PostgreSQL does not store (NUL) or a screen hides."""
    if any(char < " " or "\x7f" <= char <= "\x9f" for char in value):
        raise PydanticCustomError("control_characters", "must be one line of plain text")
    return value


Line = Annotated[
    str, StringConstraints(strip_whitespace=True), AfterValidator(refuse_control_characters)
]
NameText = Annotated[Line, Field(min_length=1, max_length=NAME_CHARS_MAX)]
ReasonText = Annotated[Line, Field(min_length=1, max_length=500)]
OrgCode = Annotated[str, Field(pattern=r"^[2-9A-HJKMNP-TV-Z]{4}$", examples=["DXA2"])]
# JSON integers only: 5000.0 and "5000" are refused.
AmountVnd = Annotated[
    int, Field(strict=True, ge=1, le=TRANSFER_VND_MAX, examples=[20_000], description="Whole đồng.")
]


class Body(BaseModel):
    """A request's body: a field that we do not know is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid")


class Read(BaseModel):
    """An answer, read from a row."""

    model_config = ConfigDict(from_attributes=True)
