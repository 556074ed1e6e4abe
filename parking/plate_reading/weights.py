"""Files of the networks: PP-OCRv4's detection and recognition, Apache-2.0, named by their hashes.

They are no part of PhoPay: `ops.plate_reading` brings them. A file whose hash differs is never
handed to the runtime.
"""

import hashlib
from pathlib import Path
from typing import Final

DETECTION: Final = "ch_PP-OCRv4_det_infer.onnx"
RECOGNITION: Final = "ch_PP-OCRv4_rec_infer.onnx"
SHA256: Final = {
    DETECTION: "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    RECOGNITION: "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
}


def read_weights(folder: Path, name: str) -> bytes:
    """Return a network's file.

    Raises:
        OSError: it is not there.
        ValueError: it is not the file that was asked for.
    """
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ValueError(f"{folder / name} is not the file that it should be")
    return content
