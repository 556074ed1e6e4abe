"""Places for open streams: how many one caller and one process may have, and who gives way."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core.errors import TooManyRequests

# A stream whose line is dead stays open until the network gives it up (ops/serving.py): a place
# that was taken away counts until then, against this many times a caller's places.
UNENDED_TIMES: Final = 2


@dataclass(eq=False)
class Place:
    """One open stream's place. It may be taken away by the same caller's newest stream."""

    caller: str
    is_replaced: bool = False
    on_replaced: Callable[[], None] = field(default=lambda: None)


class Places:
    """The places of one process."""

    def __init__(self, places_max: int) -> None:
        self._places_max = places_max
        self._held: dict[str, list[Place]] = {}  # by caller, the oldest first
        self._open: Counter[str] = Counter()  # streams that have not ended, by caller

    @property
    def open_count(self) -> int:
        """How many streams have not ended."""
        return self._open.total()

    def take(self, caller: str, places: int, *, may_replace: bool) -> Place:
        """Count a stream against the limits; give the place back with `leave` when it ends.

        Args:
            caller: who opens it.
            places: how many the caller may have.
            may_replace: the caller's oldest stream ends where there are too many. It may be dead
                without anybody knowing it, as when a phone changed its network.

        Raises:
            TooManyRequests: the caller, or the process, has too many open.
        """
        held = self._held.get(caller, [])
        is_full = len(held) >= places
        is_refused = is_full and not (may_replace and self._open[caller] < UNENDED_TIMES * places)
        if is_refused or self.open_count >= self._places_max:
            raise TooManyRequests("Too many live screens are open; close one.", retry_after_s=30)
        if is_full:
            oldest = held.pop(0)
            oldest.is_replaced = True
            oldest.on_replaced()
        place = Place(caller)
        self._held.setdefault(caller, held).append(place)
        self._open[caller] += 1
        return place

    def leave(self, place: Place) -> None:
        """Give a place back, once, when its stream has ended."""
        caller = place.caller
        held = self._held.get(caller, [])
        if not place.is_replaced:
            held.remove(place)
        if not held:
            self._held.pop(caller, None)
        self._open[caller] -= 1
        if not self._open[caller]:
            del self._open[caller]
