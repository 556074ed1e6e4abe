"""Photos: stored, linked to, read, and erased after their retention.

The file is on the disk before its row is committed: a hash that was answered can be shown. What a
crash leaves is a file without a row, which the sweep of the folder finds.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.errors import Busy
from core.sealing import derive_key
from core.settings import Settings
from core.tenancy import open_org_transaction
from parking.photos import queries
from parking.photos.errors import PhotoNotFound
from parking.photos.images import reencode
from parking.photos.rules import (
    LINK_KEY,
    LINK_VALID_FOR,
    Picture,
    is_link_good,
    read_hash,
    sign_link,
)
from parking.photos.store import FolderStore, PhotoStore, find_folder

AT_ONCE_MAX: Final = 2  # pictures decoded at the same time in a process: each takes a core
# Pictures that are decoded or wait for it in a process: what they came in takes 64 MB at most, and
# the last one waits about a second.
TAKEN_MAX: Final = 16
ERASED_MAX: Final = 500  # pictures in one round
STRAY_AFTER: Final = timedelta(hours=1)  # a file's row follows within seconds


class Photos:
    """The pictures of one installation."""

    def __init__(
        self, database: Database, store: PhotoStore, *, link_key: bytes, kept_for: timedelta
    ) -> None:
        self._database = database
        self._store = store
        self._link_key = link_key
        self._kept_for = kept_for
        # Threads of their own: a caller who gave up does not make room for one more decoder.
        self._decoders = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="photo")
        self._places = threading.BoundedSemaphore(TAKEN_MAX)

    @classmethod
    def from_settings(cls, settings: Settings, database: Database) -> "Photos":
        """Keep pictures in the folder of the settings."""
        return cls(
            database,
            FolderStore(find_folder(settings)),
            link_key=derive_key(settings.secret_key.get_secret_value(), LINK_KEY),
            kept_for=timedelta(days=settings.photo_kept_days),
        )

    async def add(
        self,
        org_id: UUID,
        lot_id: UUID | None,
        sent: bytes,
        *,
        taken_by: UUID,
        is_at_gate: bool = False,
        now: datetime,
    ) -> Picture:
        """Re-encode and keep a picture. The same picture twice is kept once.

        Args:
            is_at_gate: it shows a vehicle, and a reader of plates may look at it.

        Raises:
            PhotoNotReadable
            Busy: too many pictures wait; nothing was kept.
        """

        def decode_and_put() -> Picture:
            picture = reencode(sent)
            self._store.put(org_id, picture.hash, picture.jpeg)
            return picture

        picture = await self._in_turn(decode_and_put)
        async with open_org_transaction(self._database, org_id) as session:
            await self._insert(
                session, org_id, lot_id, picture, taken_by=taken_by, is_at_gate=is_at_gate, now=now
            )
        # The same picture may have been erased between the first call and the row.
        await asyncio.to_thread(self._store.put, org_id, picture.hash, picture.jpeg)
        return picture

    async def decode(self, sent: bytes) -> Picture:
        """Re-encode a picture in its turn, and keep nothing.

        Raises:
            PhotoNotReadable
            Busy: too many pictures wait.
        """
        return await self._in_turn(partial(reencode, sent))

    async def _in_turn(self, work: Callable[[], Picture]) -> Picture:
        """Do what takes a core, a few at a time.

        Raises:
            PhotoNotReadable
            Busy: too many pictures wait.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("Too many photos wait to be kept. Send it again in a moment.")
        turn = self._decoders.submit(work)
        turn.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(turn)

    async def keep(
        self,
        session: AsyncSession,
        org_id: UUID,
        lot_id: UUID | None,
        picture: Picture,
        *,
        taken_by: UUID,
        now: datetime,
    ) -> None:
        """Keep a picture together with what the transaction writes: both, or a stray file."""
        await asyncio.to_thread(self._store.put, org_id, picture.hash, picture.jpeg)
        await self._insert(
            session, org_id, lot_id, picture, taken_by=taken_by, is_at_gate=False, now=now
        )

    async def _insert(
        self,
        session: AsyncSession,
        org_id: UUID,
        lot_id: UUID | None,
        picture: Picture,
        *,
        taken_by: UUID,
        is_at_gate: bool,
        now: datetime,
    ) -> None:
        await queries.insert_photo_once(
            session,
            org_id,
            picture,
            lot_id=lot_id,
            taken_by=taken_by,
            kept_until=now + self._kept_for,
            is_unread=is_at_gate,
            now=now,
        )

    def link(self, org_code: str, org_id: UUID, hash_: bytes, *, now: datetime) -> str:
        """Return the address of a picture, good for five minutes.

        Two pages of the same minute link alike, so that a browser draws a picture once.
        """
        until = (now + LINK_VALID_FOR).replace(second=0, microsecond=0)
        signature = sign_link(self._link_key, org_id, hash_, until)
        return f"/photos/{org_code}/{hash_.hex()}?until={int(until.timestamp())}&sig={signature}"

    async def read(
        self, org_id: UUID, hash_text: str, *, until_s: int, signature: str, now: datetime
    ) -> bytes:
        """Return the JPEG that a link names.

        Raises:
            PhotoNotFound: the link is not ours or has ended, or the picture was erased.
        """
        hash_ = read_hash(hash_text)
        if hash_ is None or not is_link_good(
            self._link_key, org_id, hash_, until_s=until_s, signature=signature, now=now
        ):
            raise PhotoNotFound
        return await self.open(org_id, hash_)

    async def open(self, org_id: UUID, hash_: bytes) -> bytes:
        """Return a picture's JPEG, for the hub itself.

        Raises:
            PhotoNotFound
        """
        jpeg = await asyncio.to_thread(self._store.get, org_id, hash_)
        if jpeg is None:
            raise PhotoNotFound
        return jpeg

    async def erase(self, org_id: UUID, hash_: bytes) -> None:
        """Erase a picture now, as a person asked. Idempotent."""
        await asyncio.to_thread(self._store.delete, org_id, hash_)
        async with open_org_transaction(self._database, org_id) as session:
            await queries.delete_photo(session, org_id, hash_)

    async def erase_expired(self, worker: Database, *, now: datetime) -> int:
        """Erase pictures past their retention; return how many.

        The row goes first, in one transaction with the check: a picture that was sent again
        meanwhile is kept longer and stays.
        """
        async with worker.begin() as session:
            expired = await queries.list_expired(session, now=now, limit=ERASED_MAX)
        erased = 0
        for org_id, hash_ in expired:
            async with open_org_transaction(self._database, org_id) as session:
                if await queries.delete_expired(session, org_id, hash_, now=now):
                    await asyncio.to_thread(self._store.delete, org_id, hash_)
                    erased += 1
        return erased

    async def erase_strays(self, org_id: UUID, *, now: datetime) -> int:
        """Erase files without a row, which a crash left; return how many."""
        strays = await asyncio.to_thread(self._list_old, org_id, now - STRAY_AFTER)
        erased = 0
        for start in range(0, len(strays), ERASED_MAX):
            batch = strays[start : start + ERASED_MAX]
            async with open_org_transaction(self._database, org_id) as session:
                known = set(await queries.find_hashes(session, org_id, batch))
            for hash_ in set(batch) - known:
                await asyncio.to_thread(self._store.delete, org_id, hash_)
                erased += 1
        return erased

    def _list_old(self, org_id: UUID, before: datetime) -> list[bytes]:
        return list(self._store.list_hashes(org_id, before=before))
