"""The text of a stored message, as people and programs may read it. Pure.

One policy for the API and the screens: whoever may read an endpoint reads what it received, and
nobody is shown an account number whole, a signature or a token. The raw bytes stay in the database.
"""

import json

from core.masking import hide_sensitive


def show_message(body: bytes) -> str:
    """Return a message for reading: JSON over several lines, anything else as it came.

    Account numbers keep their last four characters; signatures and tokens are left out.
    """
    text = body.decode("utf-8", errors="replace").replace("\0", "\ufffd")
    try:
        # Numbers stay as they were written: a large one must not lose its end here.
        text = _write_json(json.loads(text, parse_int=_AsWritten, parse_float=_AsWritten))
    except (ValueError, RecursionError):
        return hide_sensitive(body)
    return hide_sensitive(text.encode())


class _AsWritten(str):
    """A number of a message, digit for digit."""


def _write_json(value: object, depth: int = 0) -> str:
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, _AsWritten):
        return str(value)
    if isinstance(value, dict) and value:
        rows = (
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {_write_json(one, depth + 1)}"
            for key, one in value.items()
        )
        return "{\n" + ",\n".join(rows) + f"\n{outer}}}"
    if isinstance(value, list) and value:
        rows = (inner + _write_json(one, depth + 1) for one in value)
        return "[\n" + ",\n".join(rows) + f"\n{outer}]"
    return json.dumps(value, ensure_ascii=False)
