"""Pictures of a code: plain, as PNG or SVG, drawn at the first request and then kept."""

from functools import lru_cache
from io import BytesIO
from typing import Final

import qrcode
from PIL import Image
from qrcode.constants import ERROR_CORRECT_M

# EMVCo and ISO/IEC 18004 ask for four light modules around the code.
QUIET_MODULES: Final = 4
MODULE_PX: Final = 10
MODULE_PX_MAX: Final = 64

# Drawing takes some 5 to 10 ms; a picture has 2 to 40 KB, so these hold at most some 40 MB.
MATRICES_KEPT: Final = 2_048
PICTURES_KEPT: Final = 512

# One row of modules a string, "1" is dark; the quiet zone is not in it.
Matrix = tuple[str, ...]


@lru_cache(maxsize=MATRICES_KEPT)
def find_matrix(payload: str) -> Matrix:
    """Return the modules of the smallest QR code that carries the payload (correction level M)."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=0)
    code.add_data(payload)
    code.make(fit=True)
    return tuple("".join("1" if dark else "0" for dark in row) for row in code.get_matrix())


@lru_cache(maxsize=PICTURES_KEPT)
def render_svg(payload: str) -> bytes:
    """Draw the code as an SVG one unit a module, quiet zone included, without styles or scripts."""
    matrix = find_matrix(payload)
    size = len(matrix) + 2 * QUIET_MODULES
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" '
        f'shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{size}v{size}H0z"/>'
        f'<path d="{write_path(matrix, QUIET_MODULES)}"/></svg>'
    ).encode()


@lru_cache(maxsize=PICTURES_KEPT)
def render_png(payload: str, *, module_px: int = MODULE_PX) -> bytes:
    """Draw the code as a black and white PNG, quiet zone included.

    Args:
        module_px: width of a module, 1 to 64 pixels; a bill's code has some 41 to 57 modules
            and 8 for the quiet zone, so the default gives 490 to 650 pixels.
    """
    assert 1 <= module_px <= MODULE_PX_MAX
    modules = render_modules(find_matrix(payload))
    size = modules.width + 2 * QUIET_MODULES
    picture = Image.new("1", (size, size), 1)
    picture.paste(modules, (QUIET_MODULES, QUIET_MODULES))
    return write_png(picture.resize((size * module_px, size * module_px), Image.Resampling.NEAREST))


def render_modules(matrix: Matrix) -> Image.Image:
    """Draw the modules alone, one pixel each."""
    size = len(matrix)
    grey = bytes(0 if module == "1" else 255 for row in matrix for module in row)
    return Image.frombytes("L", (size, size), grey).convert("1")


def write_path(matrix: Matrix, offset: int) -> str:
    """Write the dark modules as an SVG path, one rectangle for each run in a row."""
    steps = []
    for y, row in enumerate(matrix, offset):
        x = 0
        while (x := row.find("1", x)) >= 0:
            end = row.find("0", x)
            width = (end if end >= 0 else len(row)) - x
            steps.append(f"M{x + offset} {y}h{width}v1h-{width}z")
            x += width
    return "".join(steps)


def write_png(picture: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
