"""Elements of camt.053 while a file streams by: taken by their local names, emptied after use."""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from lxml import etree

from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.types import CELL_CHARS_MAX, StatementFormat

MESSAGE: Final = "BkToCstmrStmt"
# Elements that may stand in memory at once: an entry has tens, a bomb millions.
ELEMENTS_MAX: Final = 50_000
PARTS_OF_STATEMENT: Final = frozenset({"FrToDt", "Acct", "Bal", "TxsSummry", "Ntry"})


def read_elements(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Yield finished elements that matter, by local name; each is emptied after its use.

    No entity is resolved, nothing is loaded from anywhere, and a document type is refused: no
    bank's message has one, bombs do.
    """
    # lxml's own text of an error quotes the file; it is not passed on.
    try:
        events = etree.iterparse(
            file, events=("start", "end"), resolve_entities=False, no_network=True,
            load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True,
        )  # fmt: skip
        # Elements since the last part of a statement was emptied: all that stand in memory.
        standing = before_details = depth = 0
        for event, element in events:
            name = name_of(element)
            if event == "start":
                standing += 1
                depth += 1
                if depth == 1 and element.getroottree().docinfo.doctype:
                    raise StatementError(Refusal.EXPANDS_TOO_FAR)
                if depth == 2 and name != MESSAGE:
                    raise StatementError(Refusal.UNKNOWN_FORMAT)
                if name == "TxDtls":
                    before_details = standing
                if standing > ELEMENTS_MAX:
                    raise StatementError(Refusal.EXPANDS_TOO_FAR)
                continue
            depth -= 1
            is_part = depth == 3 and name in PARTS_OF_STATEMENT
            if is_part or name == "TxDtls" or (depth == 2 and name == "Stmt"):
                yield name, element
            if depth == 3 or name == "TxDtls":
                standing = 0 if depth == 3 else before_details
                _forget(element)
    except etree.LxmlError as error:
        raise StatementError(Refusal.DAMAGED, format=StatementFormat.CAMT053) from error


def name_of(element: Any) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def find(element: Any, path: str) -> Any:
    """Return the first element at a path of local names, or None."""
    for step in path.split("/"):
        element = next((child for child in element if name_of(child) == step), None)
        if element is None:
            return None
    return element


def text_at(element: Any, *paths: str) -> str:
    """Return the first text at these paths, bounded: a longer one is refused as too long."""
    for path in paths:
        found = find(element, path)
        if found is not None and found.text and found.text.strip():
            return str(found.text[: CELL_CHARS_MAX + 1]).strip()
    return ""


def currency_of(element: Any) -> str:
    """Return the currency of an element's amount; "" where none is named."""
    amount = find(element, "Amt")
    return "" if amount is None else str(amount.get("Ccy", ""))


def _forget(element: Any) -> None:
    """Empty an element, and let go of those before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
