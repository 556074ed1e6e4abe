"""Statements as ISO 20022 camt.053.001.08, one message.

No camt.053 file of a Vietnamese bank was found: this profile is unproven (docs/sandbox.md).
Elements: ISO 20022, BankToCustomerStatementV08.
"""

import re
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from sandbox.statements.statement import Statement, StatementLine
from sandbox.statements.wording import FOOTER

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
# A memo may hold controls, which XML cannot.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_camt053(statement: Statement) -> str:
    """Write one statement with its opening and closing booked balances, and an entry a line."""
    root = Element("Document", xmlns=NAMESPACE)
    message = SubElement(root, "BkToCstmrStmt")
    header = SubElement(message, "GrpHdr")
    name = f"{statement.number}-{statement.from_on:%y%m%d}-{statement.to_on:%y%m%d}"
    _text(header, "MsgId", name)
    made_at = f"{statement.to_on:%Y-%m-%d}T23:59:59+07:00"
    _text(header, "CreDtTm", made_at)
    _text(header, "AddtlInf", FOOTER)
    body = SubElement(message, "Stmt")
    _text(body, "Id", name)
    _text(body, "CreDtTm", made_at)
    period = SubElement(body, "FrToDt")
    _text(period, "FrDtTm", f"{statement.from_on:%Y-%m-%d}T00:00:00+07:00")
    _text(period, "ToDtTm", made_at)
    account = SubElement(body, "Acct")
    _text(account, "Id/Othr/Id", statement.number)
    _text(account, "Ccy", "VND")
    _text(account, "Ownr/Nm", statement.holder)
    _balance(body, "OPBD", statement.opening_vnd, f"{statement.from_on:%Y-%m-%d}")
    _balance(body, "CLBD", statement.closing_vnd, f"{statement.to_on:%Y-%m-%d}")
    for line in statement.lines:
        _entry(body, line)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")


def _balance(body: Element, code: str, amount_vnd: int, on: str) -> None:
    balance = SubElement(body, "Bal")
    _text(balance, "Tp/CdOrPrtry/Cd", code)
    _amount(balance, amount_vnd)
    _text(balance, "Dt/Dt", on)


def _entry(body: Element, line: StatementLine) -> None:
    entry = SubElement(body, "Ntry")
    _amount(entry, line.signed_vnd)
    _text(entry, "Sts/Cd", "BOOK")
    _text(entry, "BookgDt/Dt", f"{line.booked_on:%Y-%m-%d}")
    _text(entry, "ValDt/Dt", f"{line.booked_on:%Y-%m-%d}")
    _text(entry, "AcctSvcrRef", line.reference)
    _text(entry, "BkTxCd/Domn/Cd", "PMNT")
    details = SubElement(SubElement(entry, "NtryDtls"), "TxDtls")
    references = SubElement(details, "Refs")
    _text(references, "AcctSvcrRef", line.reference)
    _text(references, "EndToEndId", "NOTPROVIDED")
    parties = SubElement(details, "RltdPties")
    side = "Dbtr" if line.signed_vnd > 0 else "Cdtr"
    _text(parties, f"{side}/Pty/Nm", line.counter_name)
    _text(parties, f"{side}Acct/Id/Othr/Id", line.counter_number)
    _text(details, "RmtInf/Ustrd", line.memo)


def _amount(parent: Element, signed_vnd: int) -> None:
    _text(parent, "Amt", str(abs(signed_vnd))).set("Ccy", "VND")
    _text(parent, "CdtDbtInd", "CRDT" if signed_vnd >= 0 else "DBIT")


def _text(parent: Element, path: str, text: str) -> Element:
    """Add an element, and those above it on its path, with a text."""
    for name in path.split("/"):
        parent = SubElement(parent, name)
    parent.text = _NOT_XML.sub("?", text)
    return parent
