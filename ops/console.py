"""Progress for the person at the terminal. Standard output belongs to what a command answers."""

import sys


def say(text: str) -> None:
    """Print one line of progress on standard error."""
    print(f"phopay: {text}", file=sys.stderr, flush=True)
