"""Payers: drivers and shoppers with the sandbox's bank app and toll wallets."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from sandbox.traffic.phone import Pace
from sandbox.traffic.plan import Stall
from sandbox.traffic.rhythm import sales_an_hour

PAYER: Final = {
    "bin": "970407",
    "number": "19030000000777",
    "holder": "NGUOI DAN",
    "balance_vnd": 100_000_000_000,
    "payer": "nguoidan",
}
WALLET_VND: Final = 500_000
RECOVERS_AFTER_S: Final = 5.0
STALLED_S: Final = 20 * 60
PRICES_VND: Final = (10_000, 15_000, 20_000, 25_000, 30_000, 35_000, 45_000, 60_000, 120_000)
MEMOS: Final = ("", "an sang", "tra tien hang", "mua rau", "ck tien pho", "thanh toan")


@dataclass(kw_only=True)
class Payers:
    """Everybody who pays."""

    client: httpx.AsyncClient
    pace: Pace
    chance: random.Random
    stalls: list[Stall]
    speed: int
    read_clock: Callable[[], datetime]
    note: Callable[..., None]

    async def open_account(self) -> None:
        """Open the account that all of them pay from; one that is open already stays."""
        await self._post("/control/accounts", PAYER)

    async def pay(self, **wanted: Any) -> bool:
        """Pay a code, or an account an amount."""
        return await self._post("/api/pay", {"payer": PAYER["payer"], **wanted})

    async def fill_wallet(self, plate: str) -> None:
        """Let a vehicle have a toll wallet with money in it."""
        value = "".join(one for one in plate if one.isalnum()).upper()
        wallet = {"kind": "plate", "value": value, "balance_vnd": WALLET_VND}
        await self._post("/control/toll/wallets", wallet)

    async def shop(self) -> None:
        """Buy something at a stall by its printed code, now and then, for ever."""
        while self.stalls:
            per_hour = sales_an_hour(self.read_clock()) * self.speed
            await asyncio.sleep(min(STALLED_S, self.chance.expovariate(per_hour / 3_600)))
            stall = self.chance.choice(self.stalls)
            is_paid = await self.pay(
                bin=stall.bin,
                number=stall.number,
                amount_vnd=self.chance.choice(PRICES_VND),
                memo=self.chance.choice(MEMOS),
            )
            if is_paid:
                self.note("sale")
            else:
                await asyncio.sleep(RECOVERS_AFTER_S)

    async def _post(self, path: str, body: dict[str, Any]) -> bool:
        await self.pace.wait()
        try:
            answer = await self.client.post(path, json=body)
        except httpx.TransportError as error:
            self.note("away", what=path, problem=repr(error)[:200])
            return False
        if not answer.is_success:
            self.note("odd", what=path, status=answer.status_code, answer=answer.text[:200])
        return answer.is_success
