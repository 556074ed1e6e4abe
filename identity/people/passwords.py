"""Passwords: argon2id in threads, few at a time, since each costs memory and time on purpose."""

from typing import Final

import anyio
from anyio import to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from core.errors import Busy
from core.settings import PASSWORD_MEMORY_KIB

# Two at a time need 38 MiB: a hub process has 250.
TIME_COST: Final = 2
AT_ONCE: Final = 2
WAITING_MAX: Final = 50
BUSY_RETRY_S: Final = 5


class Passwords:
    """Hashes and verifies. One per process, so that its limit counts."""

    def __init__(self, *, memory_kib: int = PASSWORD_MEMORY_KIB) -> None:
        hasher = Argon2Hasher(time_cost=TIME_COST, memory_cost=memory_kib, parallelism=1)
        self._hash = PasswordHash((hasher,))
        # Verified when a login is unknown, so that the answer takes as long as for a known one.
        self._nobody = self._hash.hash("nobody has this password")
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return the argon2id hash to store.

        Raises:
            Busy: too many wait already.
        """
        self._refuse_crowd()
        return await to_thread.run_sync(self._hash.hash, password, limiter=self._limiter)

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether this is the password; None (nobody) takes the same time and is False.

        Raises:
            Busy: too many wait already.
        """
        self._refuse_crowd()
        is_right = await to_thread.run_sync(
            self._hash.verify, password, stored or self._nobody, limiter=self._limiter
        )
        return is_right and stored is not None

    def _refuse_crowd(self) -> None:
        if self._limiter.statistics().tasks_waiting >= WAITING_MAX:
            raise Busy("Too many people sign in at this moment.", retry_after_s=BUSY_RETRY_S)
