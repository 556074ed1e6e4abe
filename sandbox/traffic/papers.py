"""A photo of a vehicle's papers: each one another picture, as the hub wants it."""

import random
from io import BytesIO

from PIL import Image


def draw_papers(chance: random.Random) -> bytes:
    """Draw a JPEG of coloured squares; none is drawn twice."""
    squares = Image.frombytes("RGB", (8, 6), chance.randbytes(8 * 6 * 3))
    written = BytesIO()
    squares.resize((320, 240), Image.Resampling.NEAREST).save(written, "JPEG")
    return written.getvalue()
