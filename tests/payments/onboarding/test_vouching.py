"""Whose word a test transfer rests on: never the proposer's own, whoever else's endpoint it is.

Each test is an attack of one person who may propose accounts, or the way on from a refusal.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.audit import Actor
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.connections import service
from payments.connections.pull_setup import set_pull_credentials
from payments.connections.service import KEY_LINGERS_FOR
from payments.connections.vouching import vouch_of
from payments.onboarding.service import set_accounts
from payments.payees.models import PayeeAccount
from tests.world.account_changes import (
    IN_FORCE,
    NEW_NUMBER,
    TEST_MEMO,
    WAITS,
    approve,
    propose,
    read_states,
)
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee
from tests.world.reads import count_rows, list_breaks
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio

ADMIN = Actor(kind="staff", id=UUID(int=7), name="administrator")  # may propose and approve
PUPPET = Actor(kind="staff", id=UUID(int=8), name="the manager's other login")
MAY_APPROVE = (APPROVER, ADMIN)


@pytest.fixture
async def link(app_database: Database, stall: PayableStall) -> PayeeAccount:
    """An account that the manager proposed and the approver approved."""
    link = await propose(app_database, stall, actor=MANAGER)
    await approve(app_database, stall, link)
    return link


async def connect(
    database: Database,
    sealer: Sealer,
    stall: PayableStall,
    link: PayeeAccount,
    *,
    by: Actor,
    pull_token: str | None = None,
) -> PayableStall:
    """Make an endpoint for the account of a link; return the stall as it is heard there."""
    async with open_org_transaction(database, stall.org.id) as session:
        endpoint, _ = await service.create_endpoint(
            session,
            stall.org,
            service.EndpointRequest(
                provider="sepay",
                name="SePay",
                account_ids=[link.receiving_account_id],
                pull_token=pull_token,
            ),
            sealer=sealer,
            actor=by,
            vouch=vouch_of(by, may_approve=by in MAY_APPROVE, now=NOON),
            now=NOON,
        )
    return replace(stall, endpoint_id=endpoint.id)


async def rotate(
    database: Database,
    sealer: Sealer,
    stall: PayableStall,
    *,
    by: Actor,
    overlap: timedelta = timedelta(),
    now: datetime = NOON,
) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await service.rotate_secret(
            session,
            stall.org.id,
            stall.endpoint_id,
            secret=None,
            overlap=overlap,
            sealer=sealer,
            actor=by,
            may_vouch=by in MAY_APPROVE,
            now=now,
        )


async def list_accounts(
    database: Database, stall: PayableStall, *account_ids: UUID, by: Actor, now: datetime = NOON
) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await set_accounts(
            session,
            stall.org.id,
            stall.endpoint_id,
            account_ids,
            actor=by,
            may_vouch=by in MAY_APPROVE,
            now=now,
        )


async def report_test(
    database: Database, stall: PayableStall, *, memo: str = TEST_MEMO, now: datetime = NOON
) -> None:
    """Let the stall's endpoint report a test transfer, as who has its key can at any time."""
    body = sepay_body(stall, amount_vnd=1_000, memo=memo, account_number=NEW_NUMBER)
    await store_notices(database, stall, body, now=now)
    await process_waiting(database, stall, now=now)


async def test_a_test_transfer_forged_with_a_key_of_the_proposers_own_proves_nothing(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount
) -> None:
    own = await connect(app_database, sealer, stall, link, by=MANAGER)

    await report_test(app_database, own)

    assert await read_states(app_database, stall, link) == WAITS
    assert (
        await count_rows(app_database, stall, "audit_log", "action = 'account.test_refused'") == 1
    )
    # Nothing is lost, and there is no break to work on: the money is known and explained.
    tests = "verdict = 'account_test'"
    assert await count_rows(app_database, stall, "matches", tests) == 1
    assert await list_breaks(app_database, stall) == []


async def test_another_manager_is_not_enough_since_managers_make_managers(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount
) -> None:
    """Their second login, or a colleague whose password they reset, must not do."""
    own = await connect(app_database, sealer, stall, link, by=PUPPET)

    await report_test(app_database, own)

    assert await read_states(app_database, stall, link) == WAITS


async def test_an_administrator_who_proposed_it_answers_for_no_test_of_it(
    app_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    """The city's administrators too: they may do everything, but not both of these."""
    link = await propose(app_database, stall, actor=ADMIN)
    await approve(app_database, stall, link)
    own = await connect(app_database, sealer, stall, link, by=ADMIN)

    await report_test(app_database, own)

    assert await read_states(app_database, stall, link) == WAITS
    assert (
        await count_rows(app_database, stall, "audit_log", "action = 'account.test_refused'") == 1
    )


@pytest.mark.parametrize("by", MAY_APPROVE, ids=lambda actor: actor.name)
async def test_a_test_transfer_counts_by_the_endpoint_of_another_who_may_approve(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount, by: Actor
) -> None:
    heard = await connect(app_database, sealer, stall, link, by=by)

    await report_test(app_database, heard)

    assert await read_states(app_database, stall, link) == IN_FORCE


@pytest.mark.parametrize("by", [MANAGER, PUPPET], ids=lambda actor: actor.name)
async def test_a_key_that_the_proposer_set_later_proves_nothing(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount, by: Actor
) -> None:
    heard = await connect(app_database, sealer, stall, link, by=APPROVER)
    await rotate(app_database, sealer, heard, by=by)

    await report_test(app_database, heard, now=NOON + timedelta(days=8))

    assert await read_states(app_database, stall, link) == WAITS


async def test_once_the_approver_set_a_key_the_next_transfer_counts(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount
) -> None:
    """The way on for a manager who connected the provider: key, list, and transfer again."""
    own = await connect(app_database, sealer, stall, link, by=MANAGER)
    await report_test(app_database, own)
    await rotate(app_database, sealer, own, by=APPROVER)
    later = NOON + KEY_LINGERS_FOR

    await report_test(app_database, own, now=later)
    assert await read_states(app_database, stall, link) == WAITS  # the manager lists its accounts

    await list_accounts(app_database, own, link.receiving_account_id, by=APPROVER)
    await report_test(app_database, own, now=later)

    assert await read_states(app_database, stall, link) == IN_FORCE


async def test_a_key_of_the_proposer_that_still_holds_proves_nothing(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount
) -> None:
    own = await connect(app_database, sealer, stall, link, by=MANAGER)
    await list_accounts(app_database, own, link.receiving_account_id, by=APPROVER)
    await rotate(app_database, sealer, own, by=APPROVER, overlap=timedelta(hours=24))

    # Processes remember keys a little longer than the overlap.
    for hours in (0, 12, 24):
        await report_test(app_database, own, now=NOON + timedelta(hours=hours))
        assert await read_states(app_database, stall, link) == WAITS

    await report_test(app_database, own, now=NOON + timedelta(hours=24) + KEY_LINGERS_FOR)
    assert await read_states(app_database, stall, link) == IN_FORCE


async def test_a_second_new_key_shortens_the_wait_for_the_old_one(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount
) -> None:
    own = await connect(app_database, sealer, stall, link, by=MANAGER)
    await list_accounts(app_database, own, link.receiving_account_id, by=APPROVER)
    await rotate(app_database, sealer, own, by=APPROVER, overlap=timedelta(days=7))
    await rotate(app_database, sealer, own, by=APPROVER)

    await report_test(app_database, own, now=NOON + KEY_LINGERS_FOR)

    assert await read_states(app_database, stall, link) == IN_FORCE


async def test_a_forged_notice_that_waited_for_the_approval_is_checked_by_the_key_of_its_time(
    app_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    link = await propose(app_database, stall, actor=MANAGER)
    own = await connect(app_database, sealer, stall, link, by=MANAGER)
    await report_test(app_database, own)
    await rotate(app_database, sealer, own, by=APPROVER)
    later = NOON + timedelta(hours=1)
    await list_accounts(app_database, own, link.receiving_account_id, by=APPROVER, now=later)
    await approve(app_database, stall, link)

    await process_waiting(app_database, own, now=later)

    assert await read_states(app_database, stall, link) == WAITS
    assert (
        await count_rows(app_database, stall, "audit_log", "action = 'account.test_refused'") == 1
    )


async def test_listing_ones_account_at_an_endpoint_of_the_approver_is_not_enough(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount
) -> None:
    """A number of another bank, say, that the provider reports without its BIN."""
    both = [stall.account_id, link.receiving_account_id]
    await list_accounts(app_database, stall, *both, by=MANAGER)
    await report_test(app_database, stall)
    assert await read_states(app_database, stall, link) == WAITS

    await list_accounts(app_database, stall, *both, by=APPROVER)
    await report_test(app_database, stall)
    assert await read_states(app_database, stall, link) == IN_FORCE


async def test_a_manager_who_adds_an_account_takes_nobodys_word_back(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount
) -> None:
    both = [stall.account_id, link.receiving_account_id]
    await list_accounts(app_database, stall, *both, by=APPROVER)
    await list_accounts(app_database, stall, *both, by=MANAGER)

    await report_test(app_database, stall)

    assert await read_states(app_database, stall, link) == IN_FORCE


@pytest.mark.parametrize(("by", "states"), [(MANAGER, WAITS), (APPROVER, IN_FORCE)])
async def test_what_was_polled_rests_on_who_entered_the_token(
    app_database: Database,
    sealer: Sealer,
    stall: PayableStall,
    link: PayeeAccount,
    by: Actor,
    states: tuple[str, str],
) -> None:
    """A new key does not mend a token, nor does another's key spoil it."""
    asked = await connect(app_database, sealer, stall, link, by=by, pull_token="token")
    other = APPROVER if by is MANAGER else MANAGER
    await rotate(app_database, sealer, asked, by=other)
    await list_accounts(app_database, asked, link.receiving_account_id, by=APPROVER)
    now = NOON + KEY_LINGERS_FOR

    await pull_test(app_database, asked, now=now)

    assert await read_states(app_database, stall, link) == states


@pytest.mark.parametrize(("by", "states"), [(PUPPET, WAITS), (APPROVER, IN_FORCE)])
async def test_a_new_token_counts_once_the_old_one_can_have_fetched_nothing(
    app_database: Database,
    sealer: Sealer,
    stall: PayableStall,
    link: PayeeAccount,
    by: Actor,
    states: tuple[str, str],
) -> None:
    asked = await connect(app_database, sealer, stall, link, by=MANAGER, pull_token="token")
    await list_accounts(app_database, asked, link.receiving_account_id, by=APPROVER)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await set_pull_credentials(
            session,
            stall.org.id,
            asked.endpoint_id,
            token="another",
            client_id=None,
            sealer=sealer,
            actor=by,
            may_vouch=by in MAY_APPROVE,
            now=NOON,
        )

    await pull_test(app_database, asked, now=NOON + timedelta(seconds=1))
    assert await read_states(app_database, stall, link) == WAITS

    await pull_test(app_database, asked, now=NOON + KEY_LINGERS_FOR)
    assert await read_states(app_database, stall, link) == states


async def pull_test(database: Database, asked: PayableStall, *, now: datetime) -> None:
    """Let a test transfer be what asking the provider fetched."""
    body = sepay_body(asked, amount_vnd=1_000, memo=TEST_MEMO, account_number=NEW_NUMBER)
    await store_notices(database, asked, body, source="pulled", now=now)
    await process_waiting(database, asked, now=now)


async def test_a_link_rests_on_no_test_that_its_proposer_answered_for(
    app_database: Database, sealer: Sealer, stall: PayableStall, link: PayeeAccount
) -> None:
    """The account was tested by the administrator's endpoint; for their own link it was not."""
    heard = await connect(app_database, sealer, stall, link, by=ADMIN)
    await report_test(app_database, heard)
    assert await read_states(app_database, stall, link) == IN_FORCE
    async with open_org_transaction(app_database, stall.org.id) as session:
        neighbour = await a_payee(session, stall.org)
    memo = make_reference("HKXM", 910)
    second = await propose(
        app_database, stall, payee_id=neighbour, test_reference=memo, actor=ADMIN
    )
    await approve(app_database, stall, second)
    assert await read_states(app_database, stall, second) == ("approved", "active")

    await report_test(app_database, heard, memo=memo)
    assert await read_states(app_database, stall, second) == ("approved", "active")

    other = await connect(app_database, sealer, stall, second, by=APPROVER)
    # The second channel reports another transfer: the first would be the same money again.
    later = NOON + timedelta(hours=1)
    body = sepay_body(
        other, amount_vnd=1_000, memo=memo, account_number=NEW_NUMBER, occurred_at=later
    )
    await store_notices(app_database, other, body, now=later)
    await process_waiting(app_database, other, now=later)
    assert await read_states(app_database, stall, second) == IN_FORCE


async def test_one_proposers_transfer_does_not_bring_an_account_of_who_vouches_in(
    app_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    """The administrator proposed the account, a manager another link to it: its memo is no way."""
    link = await propose(app_database, stall, actor=ADMIN)
    async with open_org_transaction(app_database, stall.org.id) as session:
        neighbour = await a_payee(session, stall.org)
    memo = make_reference("HKXM", 911)
    second = await propose(
        app_database, stall, payee_id=neighbour, test_reference=memo, actor=MANAGER
    )
    await approve(app_database, stall, link)
    await approve(app_database, stall, second)
    own = await connect(app_database, sealer, stall, link, by=ADMIN)

    await report_test(app_database, own, memo=memo)

    assert await read_states(app_database, stall, link) == WAITS
    assert (
        await count_rows(app_database, stall, "audit_log", "action = 'account.test_refused'") == 1
    )


async def test_a_test_organisation_needs_nobodys_word(
    app_database: Database, sealer: Sealer
) -> None:
    """Only test money reaches it, and one person tries everything out there."""
    stall = await a_payable_stall(app_database, code="HKXT", is_live=False)
    memo = make_reference("HKXT", 900)
    link = await propose(app_database, stall, test_reference=memo, actor=MANAGER)
    await approve(app_database, stall, link)
    own = await connect(app_database, sealer, stall, link, by=MANAGER)

    await report_test(app_database, own, memo=memo)

    assert await read_states(app_database, stall, link) == IN_FORCE


async def test_the_database_refuses_a_test_that_rests_on_the_proposer(
    app_database: Database, stall: PayableStall
) -> None:
    with pytest.raises(IntegrityError, match="tested_by_others"):
        async with open_org_transaction(app_database, stall.org.id) as session:
            await session.execute(
                text("UPDATE receiving_accounts SET test_vouched_by = ARRAY[proposed_by]")
            )
