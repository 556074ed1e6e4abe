"""Make the spoken clips and chimes of the counter: `python -m ops.make_clips [FOLDER]`.

The voice is espeak-ng's and only a placeholder: a city records the same phrases with a person
and lays the files over ours (docs/screens.md). The chimes are computed here. Needs the programs
espeak-ng, sox and lame; the clips are kept in the repository, so nobody else needs them.
"""

import json
import math
import shutil
import subprocess
import sys
import tempfile
import wave
from array import array
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "api/counter/static/audio/vi"
SAMPLES_PER_S: Final = 22_050
BYTES_MAX: Final = 120_000  # a phone on a market's mobile network loads all of them at once
PROGRAMS: Final = ("espeak-ng", "sox", "lame")

# File → what is said. The player joins the longest phrases it finds, so a whole phrase sounds
# better than its syllables; every syllable of core/vnd_words.py must be here.
PHRASES: Final = {
    "0-khong": "không",
    "1-mot": "một",
    "2-hai": "hai",
    "3-ba": "ba",
    "4-bon": "bốn",
    "5-nam": "năm",
    "6-sau": "sáu",
    "7-bay": "bảy",
    "8-tam": "tám",
    "9-chin": "chín",
    "ten": "mười",
    "tens": "mươi",
    "1-after-tens": "mốt",
    "4-after-tens": "tư",
    "5-after-tens": "lăm",
    "hundred": "trăm",
    "zero-tens-north": "linh",
    "zero-tens-south": "lẻ",
    "thousand-north": "nghìn",
    "thousand-south": "ngàn",
    "million": "triệu",
    "billion": "tỷ",
    "dong": "đồng",
    "no-hundred": "không trăm",
    "2-tens": "hai mươi",
    "3-tens": "ba mươi",
    "5-tens": "năm mươi",
    "thousand-dong": "nghìn đồng",
    "received": "đã nhận",
    "short": "thiếu tiền",
    "received-so-far": "mới nhận",
    "over": "thừa tiền",
    "repeated": "trả hai lần",
    "late": "tiền đến muộn",
    "cancelled": "khoản đã hủy",
    "missed": "khoản lúc mất mạng",
    "amount": "số tiền",
    "offline": "mất kết nối",
    "online": "đã kết nối lại",
    "test": "loa đang bật, nghe rõ không",
}

# Notes of a chime: hertz, when it starts, how long it rings (seconds), how loud (0 to 1).
Note = tuple[float, float, float, float]
# Good money rises, short money falls and knocks twice: known apart without the words.
CHIMES: Final[dict[str, tuple[Note, ...]]] = {
    "chime-success": ((659.3, 0.0, 0.35, 0.7), (880.0, 0.12, 0.55, 0.8)),
    "chime-short": (
        (466.2, 0.0, 0.18, 0.9),
        (311.1, 0.17, 0.28, 0.9),
        (466.2, 0.45, 0.18, 0.9),
        (311.1, 0.62, 0.4, 0.9),
    ),
    "chime-attention": ((587.3, 0.0, 0.2, 0.8), (587.3, 0.22, 0.4, 0.8)),
}


def main(arguments: list[str]) -> int:
    """Write all clips and their manifest; 1 if a program is missing or the clips grew too big."""
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        print(f"Install {', '.join(missing)} first.", file=sys.stderr)
        return 1
    folder = Path(arguments[0]) if arguments else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.mp3"):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        for stem, phrase in PHRASES.items():
            _make(folder / f"{stem}.mp3", Path(scratch), partial(_say, phrase))
        for stem, notes in CHIMES.items():
            _make(folder / f"{stem}.mp3", Path(scratch), partial(_ring, notes))
    manifest = _describe(folder)
    (folder / "manifest.json").write_text(
        json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    total_bytes = sum(clip.stat().st_size for clip in folder.glob("*.mp3"))
    print(f"{len(PHRASES)} phrases, {len(CHIMES)} chimes, {total_bytes} bytes in {folder}")
    return int(total_bytes > BYTES_MAX)


def _make(target: Path, scratch: Path, record: Callable[[Path], None]) -> None:
    """Record raw sound, trim its silence, level it, soften its ends, and pack it as MP3."""
    raw, trimmed = scratch / "raw.wav", scratch / "trimmed.wav"
    record(raw)
    trim = ["silence", "1", "0.005", "0.4%", "reverse", "silence", "1", "0.005", "0.4%"]
    # Reversed here, the first fade softens the end of the word and the second its start.
    ends = ["fade", "0.012", "reverse", "fade", "0.003", "gain", "-n", "-2"]
    _run("sox", str(raw), "-r", str(SAMPLES_PER_S), "-c", "1", str(trimmed), *trim, *ends)
    # 32 kbit/s is enough for one voice. LAME's own header stays in: by it players cut the padding.
    _run("lame", "--quiet", "-m", "m", "-b", "32", str(trimmed), str(target))


def _say(phrase: str, wav: Path) -> None:
    _run("espeak-ng", "-v", "vi", "-s", "155", "-p", "45", "-w", str(wav), phrase)


def _ring(notes: tuple[Note, ...], wav: Path) -> None:
    """Add bell-like notes: a tone and two overtones that die away faster."""
    length_s = max(start_s + ring_s for _, start_s, ring_s, _ in notes)
    wave_form = [0.0] * int(length_s * SAMPLES_PER_S)
    for hertz, start_s, ring_s, loudness in notes:
        first = int(start_s * SAMPLES_PER_S)
        for i in range(min(int(ring_s * SAMPLES_PER_S), len(wave_form) - first)):
            t = i / SAMPLES_PER_S
            tone = sum(
                math.sin(2 * math.pi * hertz * n * t) * math.exp(-t * 3 * n / ring_s) / n
                for n in (1, 2, 3)
            )
            attack = min(1.0, t / 0.004)
            wave_form[first + i] += loudness * attack * tone
    loudest = max(map(abs, wave_form))
    samples = array("h", (int(value / loudest * 32_000) for value in wave_form))
    with wave.open(str(wav), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLES_PER_S)
        file.writeframes(samples.tobytes())


def _describe(folder: Path) -> dict[str, object]:
    """List phrase → file and chime → file, with one version that changes when a clip changes."""
    digest = sha256()
    for clip in sorted(folder.glob("*.mp3")):
        digest.update(clip.name.encode() + clip.read_bytes())
    return {
        "voice": "espeak-ng vi (placeholder: record your own, see docs/screens.md)",
        "version": digest.hexdigest()[:12],
        "phrases": {phrase: f"{stem}.mp3" for stem, phrase in PHRASES.items()},
        "chimes": {stem.removeprefix("chime-"): f"{stem}.mp3" for stem in CHIMES},
    }


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
