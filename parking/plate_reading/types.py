"""The answer to one photo: what was read, and which plates it may be."""

import math
from dataclasses import dataclass

from parking.plates import PlateKind


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in a photo, in pixels; it may be turned by up to 45 degrees."""

    x: float  # its middle
    y: float
    width: float  # along the line of text
    height: float
    angle: float  # of the line of text, in radians; a positive one falls to the right

    def corners(self) -> tuple[tuple[float, float], ...]:
        """Return the corners: upper left, lower left, lower right, upper right."""
        along = (math.cos(self.angle) * self.width / 2, math.sin(self.angle) * self.width / 2)
        down = (-math.sin(self.angle) * self.height / 2, math.cos(self.angle) * self.height / 2)
        return tuple(
            (self.x + a * along[0] + d * down[0], self.y + a * along[1] + d * down[1])
            for a, d in ((-1, -1), (-1, 1), (1, 1), (1, -1))
        )

    def grown(self, by: float) -> "Box":
        """Return the box with `by` pixels more on each side."""
        return Box(
            x=self.x,
            y=self.y,
            width=self.width + 2 * by,
            height=self.height + 2 * by,
            angle=self.angle,
        )

    def scaled(self, across: float, down: float) -> "Box":
        """Return the box in a photo that is so many times as wide and as high."""
        return Box(
            x=self.x * across,
            y=self.y * down,
            width=self.width * across,
            height=self.height * down,
            angle=self.angle,
        )


@dataclass(frozen=True, kw_only=True)
class TextLine:
    """One line of text as the network read it, and where it stands."""

    text: str
    score: float  # 0 to 1: the mean of its characters
    box: Box


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A plate that a photo may show. A person confirms it, or types another."""

    raw_text: str  # as it was read, a space between two rows
    compact: str
    written: str
    kind: PlateKind
    is_valid: bool  # whether it can have been issued
    score: float  # 0 to 1: orders the candidates of one photo, and is no probability


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All that was read in one photo; candidates with the best first."""

    candidates: tuple[Candidate, ...]
    lines: tuple[TextLine, ...]
