"""docs/permissions.md shows the table that the code has."""

from pathlib import Path

from identity.people.rules import API_SCOPES, NARROWED, ROLE_PERMISSIONS, Permission, Role

PAGE = Path(__file__).parents[2] / "docs/permissions.md"


def write_table() -> str:
    """Write the table of roles as the page has it."""
    head = "| Permission | " + " | ".join(role.value for role in Role) + " |"
    rows = [
        f"| `{permission.value}` | "
        + " | ".join("✓" if permission in ROLE_PERMISSIONS[role] else " " for role in Role)
        + " |"
        for permission in Permission
    ]
    return "\n".join([head, "|---" * (len(Role) + 1) + "|", *rows])


def write_scopes() -> str:
    """Write the list of scopes as the page has it."""
    return ", ".join(f"`{scope}`" for scope in sorted(API_SCOPES)) + "."


def test_the_page_has_the_table_of_roles() -> None:
    assert write_table() in PAGE.read_text()


def test_the_page_has_the_scopes() -> None:
    assert write_scopes() in PAGE.read_text()


def test_the_page_has_what_people_of_a_stall_may_do() -> None:
    assert ", ".join(f"`{one}`" for one in sorted(NARROWED)) + "." in PAGE.read_text()


def test_nobody_who_proposes_an_account_may_also_approve_one() -> None:
    for role, permissions in ROLE_PERMISSIONS.items():
        if role is not Role.ADMIN:
            assert not {Permission.ACCOUNTS_PROPOSE, Permission.ACCOUNTS_APPROVE} <= permissions


def test_no_key_manages_people_keys_or_where_money_goes() -> None:
    for scope in API_SCOPES:
        assert scope not in {
            Permission.STAFF_MANAGE,
            Permission.KEYS_MANAGE,
            Permission.ACCOUNTS_PROPOSE,
            Permission.ACCOUNTS_APPROVE,
            Permission.CALLBACK_ENDPOINTS_MANAGE,
            Permission.WEBHOOK_ENDPOINTS_MANAGE,
            Permission.ORGANISATIONS_MANAGE,
        }
