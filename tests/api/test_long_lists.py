"""Lists that are longer than a page: every row is reached, and what is chosen from is found."""

import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from tests.world.cities import employ
from tests.world.markets import Market
from tests.world.pages import as_reader

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MANY = 620  # more than any list showed at once

PEOPLE = text("""
    INSERT INTO staff (org_id, id, login, display_name, password_hash, roles, created_at)
    SELECT :org_id, CAST(lpad(to_hex(g), 32, '0') AS uuid), 'x' || g, 'Người số ' || g, 'x',
           '{attendant}', now()
    FROM generate_series(1, :many) g
""")
KEYS = text("""
    INSERT INTO api_keys (org_id, id, prefix, secret_hash, name, scopes, created_by, created_at)
    SELECT :org_id, CAST(lpad(to_hex(g), 32, '0') AS uuid), 'x' || g, '\\x00', 'Khóa ' || g,
           '{bills.read}', :org_id, now()
    FROM generate_series(1, :many) g
""")
ENDPOINTS = text("""
    INSERT INTO callback_endpoints (org_id, id, org_is_live, address, provider, name, is_sandbox,
                                    sealed_secrets, created_at, revoked_at)
    SELECT :org_id, CAST(lpad(to_hex(g), 32, '0') AS uuid), false, 'HKXM-' || g, 'sepay',
           'Kết nối ' || g, false, '\\x00', now(), now()
    FROM generate_series(1, :many) g
""")
ORGANISATIONS = text("""
    INSERT INTO organisations (id, code, name, kind, is_live, created_at)
    SELECT CAST(lpad(to_hex(g), 32, '0') AS uuid), 'A' || lpad(upper(to_hex(g)), 3, '0'),
           'Chợ số ' || g, 'market_board', false, now()
    FROM generate_series(1, :many) g
""")
PAYEES = text("""
    INSERT INTO payees (org_id, id, name, place, created_at)
    SELECT :org_id, CAST(lpad(to_hex(g), 32, '0') AS uuid), 'Sạp số ' || g, 'Dãy ' || g, now()
    FROM generate_series(1, :many) g
""")
ACCOUNTS = text("""
    INSERT INTO receiving_accounts (org_id, id, bin, account_number, holder_name, status,
                                    proposed_by, proposed_at)
    SELECT :org_id, CAST(lpad(to_hex(g), 32, '0') AS uuid), '970436', '77' || lpad('' || g, 8, '0'),
           'HO KINH DOANH ' || g, 'proposed', :org_id, now()
    FROM generate_series(1, :many) g
""")
LINKS = text("""
    INSERT INTO payee_accounts (org_id, id, payee_id, receiving_account_id, status, test_reference,
                                proposed_by, proposed_at)
    SELECT :org_id, id, id, id, 'proposed', 'T' || right('' || id, 12), :org_id, now()
    FROM receiving_accounts WHERE org_id = :org_id AND account_number LIKE '77%'
""")


async def fill(database: Database, market: Market, *statements: Any) -> None:
    """Write many rows, all older than what the hub makes."""
    async with database.begin() as session:
        for statement in statements:
            values: dict[str, Any] = {"many": MANY}
            if ":org_id" in statement.text:
                values["org_id"] = market.stall.org.id
            if "many" not in statement.text:
                del values["many"]
            await session.execute(statement, values)


async def read_all(client: httpx.AsyncClient, path: str, field: str, **query: str) -> list[Any]:
    """Read a list to its end, page by page."""
    rows: list[Any] = []
    cursor = None
    while True:
        asked = query | ({"cursor": cursor} if cursor else {}) | {"limit": "100"}
        answer = await client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page[field]) <= 100
        rows += page[field]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


@pytest.mark.parametrize(
    ("path", "field", "statement"),
    [
        ("/v1/staff", "staff", PEOPLE),
        ("/v1/keys", "keys", KEYS),
        ("/v1/callback-endpoints", "endpoints", ENDPOINTS),
        ("/v1/organisations", "organisations", ORGANISATIONS),
    ],
)
async def test_a_list_goes_on_to_its_last_row(
    market: Market, owner_database: Database, path: str, field: str, statement: Any
) -> None:
    before = len(await read_all(market.admin, path, field, **market.org))
    await fill(owner_database, market, statement)

    rows = await read_all(market.admin, path, field, **market.org)

    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids) == before + MANY
    assert ids == sorted(ids, reverse=True)
    bad = await market.admin.get(path, params=market.org | {"cursor": "abc"})
    assert bad.json()["code"] == "bad_cursor"


async def test_an_owner_pages_through_their_own_people_only(market: Market) -> None:
    own = market.stall.payee_id
    owner = await market.staff("own", "vendor_owner", payee_id=own)
    for n in range(3):
        await employ(market.admin, f"thu.{n}", "cashier", org="HKXM", payee_id=own)
        await employ(market.admin, f"xa.{n}", "finance", org="HKXM")

    first = (await owner.get("/v1/staff", params={"limit": "2"})).json()
    rest = (await owner.get("/v1/staff", params={"cursor": first["next_cursor"]})).json()

    logins = [one["login"] for one in (*first["staff"], *rest["staff"])]
    assert logins == ["thu.2", "thu.1", "thu.0", "own"]
    assert rest["next_cursor"] is None


async def test_people_and_organisations_are_found_by_words(
    market: Market, owner_database: Database
) -> None:
    await fill(owner_database, market, PEOPLE, ORGANISATIONS)

    for find, count in (("nguoi so 613", 1), ("x613", 1), ("Người 61", 16), ("nobody", 0)):
        found = await market.admin.get("/v1/staff", params=market.org | {"find": find})
        assert len(found.json()["staff"]) == count, find
    found = await market.admin.get("/v1/organisations", params={"find": "cho so 613"})
    assert [one["name"] for one in found.json()["organisations"]] == ["Chợ số 613"]


async def walk(client: httpx.AsyncClient, path: str, pattern: str, **query: str) -> set[str]:
    """Follow a page's links to what is older; return all that the pages show."""
    shown: set[str] = set()
    address = str(httpx.URL(path, params=query))
    for _ in range(MANY):
        page = await client.get(address)
        assert page.status_code == 200, page.text
        shown |= set(re.findall(pattern, page.text))
        older = re.search(r'<a class="btn" href="([^"]*before=[^"]*)"', page.text)
        if older is None:
            return shown
        address = older[1].replace("&amp;", "&")
    raise AssertionError("the list never ends")


@pytest.mark.parametrize(
    ("path", "pattern", "statements"),
    [
        ("/manage/staff", r"Người số \d+", (PEOPLE,)),
        ("/manage/keys", r"<strong>Khóa \d+", (KEYS,)),
        ("/manage/endpoints", r">Kết nối \d+", (ENDPOINTS,)),
        ("/manage/organisations", r"<strong>Chợ số \d+", (ORGANISATIONS,)),
        ("/manage/accounts", r"<strong>Sạp số \d+", (PAYEES, ACCOUNTS, LINKS)),
    ],
)
async def test_a_page_goes_on_to_its_last_row(
    market: Market, owner_database: Database, path: str, pattern: str, statements: Any
) -> None:
    await fill(owner_database, market, *statements)
    admin = as_reader(market.admin)

    assert len(await walk(admin, path, pattern, **market.org)) == MANY


async def test_a_person_is_found_on_the_page(market: Market, owner_database: Database) -> None:
    await fill(owner_database, market, PEOPLE)
    admin = as_reader(market.admin)

    assert 'name="who"' in (await admin.get("/manage/staff", params=market.org)).text
    found = await walk(admin, "/manage/staff", r"Người số \d+", **market.org, who="nguoi so 613")

    assert found == {"Người số 613"}


async def test_an_account_is_proposed_for_the_newest_of_many_payees(
    market: Market, owner_database: Database
) -> None:
    await fill(owner_database, market, PAYEES)
    admin = as_reader(market.admin)
    made = await admin.post(
        "/v1/payees", params=market.org, json={"name": "Sạp mới nhất", "place": "Dãy Z"}
    )
    newest = made.json()["id"]

    by_link = await admin.get("/manage/accounts", params=market.org | {"payee": newest})
    by_words = await admin.get("/manage/accounts", params=market.org | {"find": "sap moi nhat"})
    form = {"payee": newest, "bin": "970436", "number": "7712345678", "holder": ""}
    refused = await admin.post("/manage/accounts", params=market.org, data=form)

    assert f'<option value="{newest}" selected' in by_link.text
    assert "Danh sách chỉ hiện một phần" in by_link.text
    assert f'<option value="{newest}"' in by_words.text
    assert refused.status_code == 422
    assert f'<option value="{newest}" selected' in refused.text  # not lost by a mistake elsewhere


async def test_an_endpoint_is_given_the_oldest_of_many_accounts(
    market: Market, owner_database: Database
) -> None:
    await fill(owner_database, market, PAYEES, ACCOUNTS, LINKS)
    admin = as_reader(market.admin)
    oldest = str(UUID(int=1))
    path = f"/manage/endpoints/{market.stall.endpoint_id}"

    plain = await admin.get(path, params=market.org)
    found = await admin.get(path, params=market.org | {"find": "7700000001"})
    new = await admin.get(
        "/manage/endpoints/new", params=market.org | {"provider": "sepay", "find": "7700000001"}
    )

    assert f'value="{oldest}"' not in plain.text
    assert 'name="find"' in plain.text
    for page in (found, new):
        assert f'name="accounts" value="{oldest}"' in page.text
    # What is listed already is ticked, whatever is searched for: else saving would end it.
    own = str(market.stall.account_id)
    assert f'name="before" value="{own}"' in found.text
    assert f'name="accounts" value="{own}" checked' in found.text


async def test_an_endpoint_speaks_for_a_thousand_accounts_at_most(
    market: Market, owner_database: Database
) -> None:
    await fill(owner_database, market, ACCOUNTS)
    async with owner_database.begin() as session:
        await session.execute(
            text("""
                INSERT INTO receiving_accounts (org_id, id, bin, account_number, holder_name,
                                                status, proposed_by, proposed_at)
                SELECT :org_id, gen_random_uuid(), '970436', '88' || lpad('' || g, 8, '0'), 'X Y',
                       'proposed', :org_id, now()
                FROM generate_series(1, 400) g
            """),
            {"org_id": market.stall.org.id},
        )
        await session.execute(
            text("""
                INSERT INTO callback_endpoint_accounts (org_id, endpoint_id, receiving_account_id,
                                                        account_number)
                SELECT org_id, :endpoint_id, id, account_number FROM receiving_accounts
                WHERE org_id = :org_id AND id <> :own ORDER BY account_number LIMIT 998
            """),
            {
                "org_id": market.stall.org.id,
                "endpoint_id": market.stall.endpoint_id,
                "own": market.stall.account_id,
            },
        )
        ids = (
            await session.scalars(
                text("SELECT id FROM receiving_accounts ORDER BY account_number DESC LIMIT 2")
            )
        ).all()
    listing = f"/v1/callback-endpoints/{market.stall.endpoint_id}/accounts"

    answers = [
        await market.admin.put(f"{listing}/{one}", params=market.org) for one in (*ids, new_id())
    ]

    assert [answer.status_code for answer in answers] == [200, 422, 422]
    assert "1000" in answers[1].json()["detail"]
