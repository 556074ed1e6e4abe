"""Photos: re-encoded within limits, kept once, linked to for minutes, erased in time."""

import asyncio
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image, ImageDraw

from core.db import Database
from core.errors import Busy
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from parking.photos import jobs, queries
from parking.photos.errors import PhotoNotFound, PhotoNotReadable
from parking.photos.images import reencode
from parking.photos.rules import PHOTO_BYTES_MAX, SIDE_PX_MAX
from parking.photos.service import AT_ONCE_MAX, TAKEN_MAX, Photos
from parking.photos.store import FolderStore
from tests.world.constants import MANAGER, NOON
from tests.world.lots import LotFacts, a_lot
from tests.world.waits import wait_until

pytestmark = pytest.mark.anyio

KEPT_FOR = timedelta(days=90)
GPS_LATITUDE = b"21.0285"
assert MANAGER.id is not None


def a_picture(
    width: int = 640, height: int = 480, format_: str = "JPEG", mark: int = 0, **saved: Any
) -> bytes:
    """Draw a picture; another `mark` makes another picture."""
    picture = Image.new("RGB", (width, height), (90, 120, 90))
    ImageDraw.Draw(picture).rectangle((10, 10, 60 + mark, 40), fill="white")
    written = BytesIO()
    picture.save(written, format_, **saved)
    return written.getvalue()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_what_phones_send_becomes_one_upright_jpeg(format_: str) -> None:
    picture = reencode(a_picture(format_=format_))

    with Image.open(BytesIO(picture.jpeg)) as stored:
        assert (stored.format, stored.size) == ("JPEG", (640, 480))


def test_a_large_photo_is_made_smaller_in_its_proportions() -> None:
    picture = reencode(a_picture(4_000, 3_000))

    assert (picture.width, picture.height) == (SIDE_PX_MAX, SIDE_PX_MAX * 3 // 4)


def test_a_photo_is_turned_upright_and_loses_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise
    exif[0x010E] = GPS_LATITUDE.decode()  # a note of the camera's

    sent = a_picture(exif=exif)
    picture = reencode(sent)

    assert GPS_LATITUDE in sent
    assert GPS_LATITUDE not in picture.jpeg
    assert (picture.width, picture.height) == (480, 640)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photo_is_turned_however_its_camera_was_held(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn

    picture = reencode(a_picture(exif=exif))

    assert (picture.width, picture.height) == ((480, 640) if turn > 4 else (640, 480))


@pytest.mark.slow
def test_what_the_camera_wrote_may_be_damaged() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Hà Nội " * 20
    sent = a_picture(exif=exif)
    start, chance = sent.index(b"Exif"), random.Random(7)
    for _ in range(500):
        damaged = bytearray(sent)
        for _ in range(4):
            damaged[start + 6 + chance.randrange(120)] = chance.randrange(256)
        assert reencode(bytes(damaged)).width in (480, 640)


def test_what_hides_behind_a_picture_is_not_kept() -> None:
    picture = reencode(a_picture() + b"<script>alert(1)</script>")

    assert b"script" not in picture.jpeg


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"not a picture",
        b"\xff\xd8\xff\xe0" + b"\x00" * 100,
        a_picture()[:600],
        a_picture(format_="GIF"),
        a_picture(format_="BMP"),
        a_picture(20, 20),
        a_picture(6_000, 6_000, format_="PNG"),  # 36 megapixels in a few kilobytes
        b"\x00" * (PHOTO_BYTES_MAX + 1),
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["empty", "text", "head", "cut", "gif", "bmp", "tiny", "bomb", "large", "pdf", "svg"],
)
def test_what_is_no_photo_is_refused_in_words(sent: bytes) -> None:
    with pytest.raises(PhotoNotReadable, match="photo"):
        reencode(sent)


def test_a_picture_that_draws_itself_over_again_is_refused_before_it_is_decoded() -> None:
    """Four megabytes of such scans would keep a core busy for half an hour."""
    sent = a_picture(640, 480, progressive=True)
    scans, end = sent.rindex(b"\xff\xda"), sent.rindex(b"\xff\xd9")
    last_scan = sent[scans:end]

    assert reencode(sent).width == 640
    with pytest.raises(PhotoNotReadable, match="photo"):
        reencode(sent[:end] + last_scan * 100 + sent[end:])


def test_so_is_one_that_says_it_is_the_first_of_several() -> None:
    """Phones write such files (MPO), and Pillow gives them another name than JPEG."""
    other = Image.new("RGB", (640, 480), "navy")
    sent = a_picture(format_="MPO", save_all=True, append_images=[other], progressive=True)
    end = sent.index(b"\xff\xd9")
    last_scan = sent[sent.rindex(b"\xff\xda", 0, end) : end]

    assert reencode(sent).width == 640
    with pytest.raises(PhotoNotReadable, match="photo"):
        reencode(sent[:end] + last_scan * 100 + sent[end:])


@dataclass
class Kept:
    """A lot whose photos lie in a folder."""

    lot: LotFacts
    photos: Photos
    folder: Path

    def files(self) -> Iterator[Path]:
        return self.folder.glob("*/*/*.jpg")

    def put(self, mark: int = 0, *, days: int = 0) -> Any:
        assert MANAGER.id is not None
        return self.photos.add(
            self.lot.org.id,
            self.lot.id,
            a_picture(mark=mark),
            taken_by=MANAGER.id,
            now=NOON + timedelta(days=days),
        )


@pytest.fixture
async def kept(app_database: Database, tmp_path: Path) -> Kept:
    """A lot with an empty folder."""
    photos = Photos(app_database, FolderStore(tmp_path), link_key=b"k" * 32, kept_for=KEPT_FOR)
    return Kept(lot=await a_lot(app_database), photos=photos, folder=tmp_path)


async def test_the_same_photo_is_one_file_and_one_row(kept: Kept, app_database: Database) -> None:
    first, *others = await asyncio.gather(*[kept.put() for _ in range(5)])

    assert {other.hash for other in others} == {first.hash}
    assert [path.stem for path in kept.files()] == [first.hash.hex()]
    async with open_org_transaction(app_database, kept.lot.org.id) as tx:
        assert await queries.find_hashes(tx, kept.lot.org.id, [first.hash]) == [first.hash]


class HeldStore(FolderStore):
    """A disk that keeps whoever writes to it waiting, and counts them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_free = threading.Event()
        self._counting = threading.Lock()
        self.writing = self.writing_at_most = 0

    def put(self, *args: Any) -> None:
        with self._counting:
            self.writing += 1
            self.writing_at_most = max(self.writing, self.writing_at_most)
        assert self.is_free.wait(timeout=30)
        super().put(*args)
        with self._counting:
            self.writing -= 1


async def test_of_too_many_photos_at_once_the_last_are_refused_and_the_others_kept(
    kept: Kept,
) -> None:
    store = HeldStore(kept.folder)
    kept.photos._store = store
    taken = [asyncio.create_task(kept.put(mark)) for mark in range(TAKEN_MAX)]
    await asyncio.to_thread(wait_until, lambda: store.writing == AT_ONCE_MAX)

    with pytest.raises(Busy) as refused:
        async with asyncio.timeout(10):
            await kept.put(TAKEN_MAX)

    assert refused.value.retry_after_s is not None
    assert store.writing_at_most == AT_ONCE_MAX
    store.is_free.set()
    assert len({picture.hash for picture in await asyncio.gather(*taken)}) == TAKEN_MAX
    await kept.put(TAKEN_MAX)


async def test_who_gives_up_makes_no_room_for_another_decoder(kept: Kept) -> None:
    store = HeldStore(kept.folder)
    kept.photos._store = store
    given_up = [asyncio.create_task(kept.put(mark)) for mark in range(AT_ONCE_MAX)]
    await asyncio.to_thread(wait_until, lambda: store.writing == AT_ONCE_MAX)
    for one in given_up:
        one.cancel()
    await asyncio.wait(given_up)

    waiting = [asyncio.create_task(kept.put(mark)) for mark in range(5, 5 + AT_ONCE_MAX)]
    await asyncio.sleep(0.3)  # a decoder that should not be there would have begun

    assert store.writing_at_most == AT_ONCE_MAX
    store.is_free.set()
    await asyncio.gather(*waiting)


def read_link(link: str) -> tuple[str, int, str]:
    """Take a link apart: hash, until, signature."""
    parts = urlsplit(link)
    asked = parse_qs(parts.query)
    return parts.path.rpartition("/")[2], int(asked["until"][0]), asked["sig"][0]


async def test_a_link_shows_its_photo_for_five_minutes_and_nothing_else(kept: Kept) -> None:
    picture, other = await kept.put(), await kept.put(mark=7)
    lot, photos = kept.lot, kept.photos
    hash_, until_s, signature = read_link(
        photos.link(lot.org.code, lot.org.id, picture.hash, now=NOON)
    )
    shown = {"until_s": until_s, "signature": signature}

    assert await photos.read(lot.org.id, hash_, now=NOON, **shown) == picture.jpeg
    last = NOON + timedelta(minutes=4)
    assert await photos.read(lot.org.id, hash_, now=last, **shown) == picture.jpeg
    for org_id, name, at, changed in (
        (lot.org.id, hash_, NOON + timedelta(minutes=5, seconds=1), {}),
        (lot.org.id, other.hash.hex(), NOON, {}),
        (MANAGER.id, hash_, NOON, {}),  # of another organisation
        (lot.org.id, hash_, NOON, {"until_s": until_s + 60}),
        (lot.org.id, hash_, NOON, {"signature": "0" * 32}),
        (lot.org.id, hash_, NOON, {"signature": "ữ" * 32}),
        (lot.org.id, hash_, NOON, {"until_s": 10**12}),
        (lot.org.id, hash_.upper(), NOON, {}),
        (lot.org.id, "../../secret_key", NOON, {}),
    ):
        with pytest.raises(PhotoNotFound):
            await photos.read(org_id, name, now=at, **{**shown, **changed})


async def test_a_photo_is_erased_after_its_retention_and_not_before(
    kept: Kept, worker_database: Database
) -> None:
    old, again, new = await kept.put(), await kept.put(1), await kept.put(2, days=60)
    await kept.put(1, days=60)  # sent again: kept as long as that

    assert await kept.photos.erase_expired(worker_database, now=NOON + KEPT_FOR) == 0
    later = NOON + KEPT_FOR + timedelta(seconds=1)
    assert await kept.photos.erase_expired(worker_database, now=later) == 1

    assert {path.stem for path in kept.files()} == {again.hash.hex(), new.hash.hex()}
    with pytest.raises(PhotoNotFound):
        await kept.photos.open(kept.lot.org.id, old.hash)


async def test_of_what_a_photo_was_the_evidence_is_known_for_a_year(
    kept: Kept, app_database: Database, worker_database: Database
) -> None:
    picture = await kept.put()
    long_ago = NOON - timedelta(days=366)
    uses = (
        ((b"o" * 32, new_id()), long_ago),
        ((b"n" * 32, new_id()), NOON - timedelta(days=364)),
        ((picture.hash, new_id()), long_ago),  # the picture is still there
    )
    async with open_org_transaction(app_database, kept.lot.org.id) as session:
        for use, at in uses:
            await queries.use_photos(
                session, kept.lot.org.id, [use], subject_kind="lost_ticket", now=at
            )
    databases = JobDatabases(app=app_database, worker=worker_database)

    assert await jobs.forget_uses(databases, now=NOON) == 1
    assert await jobs.forget_uses(databases, now=NOON) == 0


async def test_a_photo_that_is_sent_again_while_it_is_erased_is_there(
    kept: Kept, worker_database: Database
) -> None:
    """The file is written again once its row is there."""
    picture = await kept.put()

    class ErasingStore(FolderStore):
        """Another process erases the picture just after it was found on the disk."""

        def put(self, *args: Any) -> None:
            super().put(*args)
            self.put = super().put  # type: ignore[method-assign]
            self.delete(*args[:2])

    kept.photos._store = ErasingStore(kept.folder)
    await kept.put(days=89)

    assert await kept.photos.open(kept.lot.org.id, picture.hash) == picture.jpeg


async def test_a_file_that_a_crash_left_is_erased_and_a_fresh_one_stays(
    kept: Kept, app_database: Database
) -> None:
    picture = await kept.put()
    store = FolderStore(kept.folder)
    store.put(kept.lot.org.id, b"s" * 32, b"stray")

    written_at = max(path.stat().st_mtime for path in kept.files())

    now = datetime.fromtimestamp(written_at, UTC)
    assert await kept.photos.erase_strays(kept.lot.org.id, now=now) == 0
    assert await kept.photos.erase_strays(kept.lot.org.id, now=now + timedelta(hours=2)) == 1
    assert [path.stem for path in kept.files()] == [picture.hash.hex()]
