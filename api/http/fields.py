"""Fields that many requests share: what a text or an amount may be."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from core.money import TRANSFER_VND_MAX
from core.text import TEXT_FAULTS, find_text_fault
from identity.organisations.rules import ORG_CODE_PATTERN

# The rules proper (identity/people/rules.py) answer with reasons; this only bounds the work.
Password = Annotated[SecretStr, Field(min_length=1, max_length=1_000, examples=["phở bò Hà Nội 3"])]


NAME_CHARS_MAX: Final = 120


def refuse_unseen(value: str) -> str:
    """Refuse what nobody sees: controls, marks that hide or turn writing, blank texts."""
    if fault := find_text_fault(value):
        raise PydanticCustomError(fault, TEXT_FAULTS[fault])
    return value


Line = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(refuse_unseen)]
NameText = Annotated[Line, Field(min_length=1, max_length=NAME_CHARS_MAX)]
REASON_FACTS: Final = (
    "What the reason's code needs for a sentence: texts, numbers, lists of them. Words that a"
    " person typed are `words`."
)
ReasonText = Annotated[Line, Field(min_length=1, max_length=500)]
OrgCode = Annotated[str, Field(pattern=f"^{ORG_CODE_PATTERN}$", examples=["DXA2"])]
# JSON integers only: 5000.0 and "5000" are refused.
AmountVnd = Annotated[
    int, Field(strict=True, ge=1, le=TRANSFER_VND_MAX, examples=[20_000], description="Whole đồng.")
]


# What is kept and asked for lies in these years; beyond, calendars and columns have their ends.
YEARS: Final = range(2000, 2100)
AnyDay = TypeVar("AnyDay", date, datetime)
# "+" in an address means a space: "2026-11-28T00:00:00 07:00" was typed with a plus.
_LOST_PLUS: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d:?\d\d)", re.ASCII
)


def _restore_plus(value: Any) -> Any:
    found = _LOST_PLUS.fullmatch(value) if isinstance(value, str) else None
    return f"{found[1]}+{found[2]}" if found else value


def _say_how_instants_are_written(value: Any, handler: ValidatorFunctionWrapHandler) -> datetime:
    try:
        instant: datetime = handler(value)
    except ValueError:
        raise PydanticCustomError(
            "instant",
            "must be an instant with its zone, such as 2026-11-28T00:00:00+07:00"
            " (in an address + may be written %2B)",
        ) from None
    return instant


def _refuse_ends_of_time(value: AnyDay) -> AnyDay:
    if value.year not in YEARS:
        raise PydanticCustomError("out_of_range", "must lie between the years 2000 and 2099")
    return value


Instant = Annotated[
    AwareDatetime,
    WrapValidator(_say_how_instants_are_written),
    AfterValidator(_refuse_ends_of_time),
]
QueryInstant = Annotated[Instant, BeforeValidator(_restore_plus)]
Day = Annotated[
    date,
    AfterValidator(_refuse_ends_of_time),
    Field(description="A day in Hà Nội.", examples=["2026-11-20"]),
]


class Body(BaseModel):
    """A request's body: a field that we do not know is a mistake worth reporting."""

    model_config = ConfigDict(extra="forbid")


class Read(BaseModel):
    """An answer, read from a row."""

    model_config = ConfigDict(from_attributes=True)


Login = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(refuse_unseen),
    Field(examples=["lan.dx"]),
]
