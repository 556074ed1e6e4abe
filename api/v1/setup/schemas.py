"""Schemas of the first set-up."""

from typing import Annotated

from pydantic import Field, SecretStr

from api.http.fields import (
    Body,
    Login,
    NameText,
    OrgCode,
    Password,
)


class SetupCreate(Body):
    """The first organisation, the city's, and its administrator."""

    token: Annotated[SecretStr, Field(min_length=1, max_length=100, examples=["…"])]
    organisation_code: OrgCode
    organisation_name: NameText
    is_live: bool = False
    login: Login
    display_name: NameText
    password: Password
