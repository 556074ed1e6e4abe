"""The control API: registers accounts and subscribers, sets faults, moves raw money, shows the log.

It has no login. The sandbox listens to this machine only unless it is set otherwise.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.bank import BANKS, Account
from sandbox.errors import BadRequest, NotFound
from sandbox.faults import FaultProfile
from sandbox.memos import Style
from sandbox.providers.contract import Subscription
from sandbox.wire import answer_json, read_json, read_whole, world_of

ACCOUNTS_AT_ONCE_MAX: Final = 5_000
LOG_PAGE_MAX: Final = 10_000
TransferVnd = Annotated[int, msgspec.Meta(ge=1, le=10**15)]


class NewVirtual(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A virtual account, by its number; its holder's name is the parent's unless given."""

    number: str
    holder: str = ""


class NewAccount(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A receiving account, or a payer where `payer` gives it a short name."""

    bin: str
    number: str
    holder: str
    balance_vnd: Annotated[int, msgspec.Meta(ge=0, le=10**15)] = 0
    payer: str = ""
    virtual: list[NewVirtual] = []


class NewAccounts(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Several accounts at once."""

    accounts: Annotated[list[NewAccount], msgspec.Meta(max_length=ACCOUNTS_AT_ONCE_MAX)]


class AccountName(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """An account as callers name it."""

    bin: str
    number: str


class NewSubscription(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who is to be called back. `secret` is the provider's secret in that provider's sense."""

    provider: Literal["payos", "sepay", "sepay_apikey", "casso", "vietqrvn"]
    url: str = ""
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    username: str = ""
    client_id: str = ""
    api_key: str = ""
    is_linked: bool = True
    accounts: Annotated[list[AccountName], msgspec.Meta(max_length=ACCOUNTS_AT_ONCE_MAX)] = []
    send: Literal["in", "all"] = "in"


class SubscriptionChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What may change later; what is left out stays."""

    url: str | None = None
    secret: str | None = None
    username: str | None = None
    accounts: list[AccountName] | None = None
    send: Literal["in", "all"] | None = None


class NewFaults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A profile for a subscription or for an account."""

    subscription: str = ""
    account: AccountName | None = None
    profile: FaultProfile


class RawTransfer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Money from or to the outside world, with exactly this memo."""

    bin: str
    number: str
    amount_vnd: TransferVnd
    memo: str = ""
    direction: Literal["in", "out"] = "in"
    reference: str = ""
    payer_bin: str = "970407"
    payer_number: str = "19036000000888"
    payer_name: str = "NGUYEN VAN A"


class Reset(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Start over. `keep_setup` keeps accounts and subscriptions, without their faults."""

    seed: int = 1
    keep_setup: bool = False


class Pace(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How fast the providers' clocks run, and how hard banks are on memos."""

    time_scale: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    memo_style: Style | None = None


async def open_accounts(request: Request) -> Response:
    """Open one account, or {"accounts": […]}; an account that is open already is no error."""
    body = await read_json(request, dict[str, Any])
    shape = {"accounts": [body]} if "bin" in body else body
    try:
        wanted = msgspec.convert(shape, NewAccounts)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from error
    world = world_of(request)
    opened: list[Account] = []
    for new in wanted.accounts:
        account = world.bank.open_account(
            new.bin, new.number, new.holder, balance_vnd=new.balance_vnd, payer=new.payer
        )
        opened.append(account)
        opened += [
            world.bank.open_virtual(new.bin, virtual.number, new.number, virtual.holder)
            for virtual in new.virtual
        ]
    world.is_changed = True
    return answer_json({"accounts": opened}, 201)


async def list_accounts(request: Request) -> Response:
    """List every account with its balance, and the sum that must be zero."""
    bank = world_of(request).bank
    return answer_json({"accounts": list(bank.accounts.values()), "total_vnd": bank.total_vnd()})


async def close_account(request: Request) -> Response:
    """Close an account: bank apps no longer find it. Its money stays where it is."""
    world = world_of(request)
    account = world.bank.look_up(request.path_params["bin"], request.path_params["number"])
    account.is_closed = True
    world.is_changed = True
    return answer_json(account)


async def subscribe(request: Request) -> Response:
    """Register a subscription; the answer has its id and the keys made for it."""
    new = await read_json(request, NewSubscription)
    world = world_of(request)
    accounts = [(account.bin, account.number) for account in new.accounts]
    for bin_, number in accounts:
        world.bank.look_up(bin_, number)
    subscription = Subscription(
        id="", provider=new.provider, url=new.url, secret=new.secret, username=new.username,
        client_id=new.client_id, api_key=new.api_key, is_linked=new.is_linked,
        accounts=accounts, send=new.send,
    )  # fmt: skip
    registered, is_new = world.subscribe(subscription)
    return answer_json(registered, 201 if is_new else 200)


async def list_subscriptions(request: Request) -> Response:
    """List the subscriptions with their secrets: this is a pretend world."""
    return answer_json({"subscriptions": list(world_of(request).subscriptions.values())})


async def change_subscription(request: Request) -> Response:
    """Change a subscription's address, secret or accounts."""
    world = world_of(request)
    subscription = world.subscription(request.path_params["id"])
    change = await read_json(request, SubscriptionChange)
    for name in ("url", "secret", "username", "send"):
        if (value := getattr(change, name)) is not None:
            setattr(subscription, name, value)
    if change.accounts is not None:
        subscription.accounts = [(account.bin, account.number) for account in change.accounts]
    world.is_changed = True
    return answer_json(subscription)


async def unsubscribe(request: Request) -> Response:
    """Forget a subscription."""
    world_of(request).unsubscribe(request.path_params["id"])
    return Response(status_code=204)


async def ping(request: Request) -> Response:
    """Send the provider's test delivery, which must be acknowledged and never credited."""
    world = world_of(request)
    subscription = world.subscription(request.path_params["id"])
    delivery = world.dispatcher.ping(subscription, world.ping_message(subscription))
    return answer_json(delivery, 202)


async def set_faults(request: Request) -> Response:
    """Set a profile; an empty one makes the sender honest again."""
    new = await read_json(request, NewFaults)
    key = (new.account.bin, new.account.number) if new.account else None
    world_of(request).set_faults(new.profile, subscription_id=new.subscription, account=key)
    return answer_json(new.profile)


async def show_faults(request: Request) -> Response:
    """Show the profiles that are set."""
    world = world_of(request)
    accounts = [
        {"bin": bin_, "number": number, "profile": profile}
        for (bin_, number), profile in world.account_faults.items()
    ]
    return answer_json({"subscriptions": world.subscription_faults, "accounts": accounts})


async def transfer(request: Request) -> Response:
    """Book a raw credit or debit with an arbitrary memo, and call the subscribers back."""
    raw = await read_json(request, RawTransfer)
    world = world_of(request)
    world.check_room()
    line = world.bank.book_raw(
        raw.bin, raw.number, raw.amount_vnd, raw.memo, direction=raw.direction,
        reference=raw.reference, counter=(raw.payer_bin, raw.payer_number),
        counter_name=raw.payer_name, at=world.clock(),
    )  # fmt: skip
    deliveries = world.announce(line)
    return answer_json({"line": line, "deliveries": [d.id for d in deliveries]}, 201)


async def show_log(request: Request) -> Response:
    """Return the sender's own log: counts over everything, and a page of lines and deliveries.

    Query: `after_line`, `after_delivery` (ids to go on from), `limit` (1,000 unless given).
    """
    world = world_of(request)
    limit = read_whole(request.query_params, "limit", 1_000, upto=LOG_PAGE_MAX)
    after_line = read_whole(request.query_params, "after_line", 0, upto=10**18)
    after_delivery = read_whole(request.query_params, "after_delivery", 0, upto=10**18)
    lines = [line for line in world.bank.lines.values() if line.id > after_line]
    deliveries = [d for d in world.dispatcher.log.values() if d.id > after_delivery]
    return answer_json(
        {
            "seed": world.seed,
            "counts": {
                "lines": world.bank.lines_seen,
                "attempts": world.dispatcher.attempts_total,
                "pending": world.dispatcher.pending(),
                "by_state": world.dispatcher.counts(),
                "by_kind": dict(world.dispatcher.planned_by_kind),
            },
            "lines": lines[:limit],
            "deliveries": deliveries[:limit],
        }
    )


async def resend(request: Request) -> Response:
    """Send a logged delivery again, from its first attempt."""
    world = world_of(request)
    delivery = world.dispatcher.log.get(request.path_params["id"])
    if delivery is None:
        raise NotFound("There is no such delivery.")
    subscription = world.subscription(delivery.subscription_id)
    again = world.message_again(subscription, delivery)
    world.dispatcher.resend(subscription, delivery, again)
    return answer_json(delivery, 202)


async def reset(request: Request) -> Response:
    """Start over with a seed."""
    wanted = await read_json(request, Reset)
    await world_of(request).reset(wanted.seed, keep_setup=wanted.keep_setup)
    return answer_json({"seed": wanted.seed})


async def set_pace(request: Request) -> Response:
    """Change the time scale (for waits that begin from now on) or the memo style."""
    pace = await read_json(request, Pace)
    world = world_of(request)
    if pace.time_scale is not None:
        world.dispatcher.time_scale = pace.time_scale
    if pace.memo_style is not None:
        world.style = pace.memo_style
    world.is_changed = True
    return answer_json({"time_scale": world.dispatcher.time_scale, "memo_style": world.style})


async def count_requests(request: Request) -> Response:
    """Count payOS's payment requests, by status; name the virtual account of each order."""
    world = world_of(request)
    accounts = {str(one.order_code): one.number for one in world.requests.by_id.values()}
    statuses = [one.status(world.clock()) for one in world.requests.by_id.values()]
    by_status = {status: statuses.count(status) for status in sorted(set(statuses))}
    return answer_json({"count": len(statuses), "by_status": by_status, "accounts": accounts})


async def list_banks(request: Request) -> Response:
    """List the banks of the sandbox."""
    return answer_json({"banks": [bank._asdict() for bank in BANKS.values()]})


ROUTES: Final = [
    Route("/control/banks", list_banks),
    Route("/control/payment-requests", count_requests),
    Route("/control/accounts", open_accounts, methods=["POST"]),
    Route("/control/accounts", list_accounts),
    Route("/control/accounts/{bin}/{number}", close_account, methods=["DELETE"]),
    Route("/control/subscriptions", subscribe, methods=["POST"]),
    Route("/control/subscriptions", list_subscriptions),
    Route("/control/subscriptions/{id}", change_subscription, methods=["PATCH"]),
    Route("/control/subscriptions/{id}", unsubscribe, methods=["DELETE"]),
    Route("/control/subscriptions/{id}/ping", ping, methods=["POST"]),
    Route("/control/faults", set_faults, methods=["POST"]),
    Route("/control/faults", show_faults),
    Route("/control/transfer", transfer, methods=["POST"]),
    Route("/control/log", show_log),
    Route("/control/deliveries/{id:int}/resend", resend, methods=["POST"]),
    Route("/control/reset", reset, methods=["POST"]),
    Route("/control/pace", set_pace, methods=["POST"]),
]
