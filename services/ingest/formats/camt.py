"""camt.053 of any version as a stream: bank lines as they come, each statement's head behind its lines.

Invariant: nothing outside the file is ever read, no entity is expanded, and memory is bounded by one entry
(at most 50,000 details or 200,000 elements), whatever the size of the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from lxml import etree

from services.ingest.formats import camt_entry
from services.ingest.formats.records import (
    DETAILS_PER_ENTRY_MAX,
    ELEMENTS_PER_ENTRY_MAX,
    FormatError,
    RawRecord,
)
from services.ingest.formats.xml_parts import Element, child, either, local, text

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001."
DAYS_MAX = 400
_HEAD_PARTS = frozenset({"Id", "ElctrncSeqNb", "LglSeqNb", "FrToDt", "Acct", "Bal", "StmtPgntn", "CreDtTm"})


def read(path: Path) -> Iterator[RawRecord]:
    """Lines and heads of every statement. Raises FormatError with line or path for anything that is not camt.053."""
    check_root(path)
    with path.open("rb") as file:
        context = etree.iterparse(
            file,
            events=("end",),
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
            load_dtd=False,
            dtd_validation=False,
            recover=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            yield from _Statements(context).records()
        except etree.XMLSyntaxError as error:
            raise _not_xml(error) from None


def check_root(path: Path) -> None:
    """Refuses a document type declaration, another root or another namespace before anything is taken."""
    with path.open("rb") as file:
        context = etree.iterparse(
            file, events=("start",), resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False
        )
        try:
            _, root = next(iter(context))
        except etree.XMLSyntaxError as error:
            raise _not_xml(error) from None
        except StopIteration:
            raise FormatError("xml_not_valid", "line 1", "the file holds no XML element") from None
    if root.getroottree().docinfo.doctype:
        raise FormatError("xml_doctype", "line 1", "a bank file has no document type declaration or entities")
    namespace = etree.QName(root).namespace or ""
    if local(root) != "Document" or not namespace.startswith(NAMESPACE):
        raise FormatError(
            "xml_root",
            f"/{local(root)}",
            f"the root is {{{namespace}}}{local(root)}; a bank statement is a Document of {NAMESPACE}02 to .13",
        )


def _not_xml(error: etree.XMLSyntaxError) -> FormatError:
    line = error.lineno or 1
    return FormatError("xml_not_valid", f"line {line}", f"not well-formed XML: {error.msg}; the file may be cut off")


@dataclass(slots=True)
class _Head:
    """What is known of the statement in hand; sums are decimals per the statement's currency."""

    parts: dict[str, str] = field(default_factory=dict)
    balances: list[dict[str, str]] = field(default_factory=list)
    entries: int = 0
    lines: int = 0
    credits: Decimal = Decimal(0)
    debits: Decimal = Decimal(0)
    first_booked_on: str = ""
    last_booked_on: str = ""
    days: dict[str, Decimal] = field(default_factory=dict)


class _Statements:
    """One pass over the end events of a file."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._group = 0
        self._head = _Head()
        self._details: list[dict[str, Any]] = []
        self._elements = 0

    def records(self) -> Iterator[RawRecord]:
        found_message = False
        for _, element in self._context:
            self._elements += 1
            if self._elements > ELEMENTS_PER_ENTRY_MAX:
                raise FormatError("xml_too_large", self._place(), "an entry holds too many elements; split the file")
            name = local(element)
            if name == "TxDtls":
                self._take_detail(element)
            elif name == "Ntry":
                yield from self._take_entry(element)
            elif name in _HEAD_PARTS and local(element.getparent()) == "Stmt":
                self._take_part(name, element)
            elif name == "Stmt":
                yield self._take_statement(element)
            elif name == "BkToCstmrStmt":
                found_message = True
        if not found_message or not self._group:
            raise FormatError("xml_shape", "/Document", "the document has no BkToCstmrStmt with a Stmt in it")

    def _place(self) -> str:
        return f"/Document/BkToCstmrStmt/Stmt[{self._group + 1}]/Ntry[{self._head.entries + 1}]"

    def _take_detail(self, element: Element) -> None:
        if len(self._details) >= DETAILS_PER_ENTRY_MAX:
            raise FormatError("xml_too_large", self._place(), f"an entry has at most {DETAILS_PER_ENTRY_MAX} details")
        self._details.append(camt_entry.detail(element))
        self._forget(element)

    def _take_entry(self, element: Element) -> Iterator[RawRecord]:
        place = self._place()
        entry = camt_entry.entry(element)
        head = self._head
        head.entries += 1
        if entry["status"] == "BOOK":
            self._add_up(entry, place)
        for body in camt_entry.lines(entry, self._details):
            head.lines += entry["status"] == "BOOK"
            yield RawRecord("bank_line", f"{place}{body.pop('place')}", body, self._group)
        self._details = []
        self._forget(element)

    def _add_up(self, entry: dict[str, Any], place: str) -> None:
        head, amount = self._head, _decimal(entry["amount"], place)
        if entry["direction"] == "CRDT":
            head.credits += amount
        else:
            head.debits += amount
        if on := entry["booked_on"]:
            head.first_booked_on = min(head.first_booked_on or on, on)
            head.last_booked_on = max(head.last_booked_on, on)
            if on in head.days or len(head.days) < DAYS_MAX:
                signed = amount if entry["direction"] == "CRDT" else -amount
                head.days[on] = head.days.get(on, Decimal(0)) + signed

    def _take_part(self, name: str, element: Element) -> None:
        parts = self._head.parts
        if name == "Bal":
            self._head.balances.append(balance(element))
        elif name == "FrToDt":
            parts["from"] = either(element, ("FrDtTm",), ("FrDt",))[:10]
            parts["to"] = either(element, ("ToDtTm",), ("ToDt",))[:10]
        elif name == "Acct":
            parts["iban"] = text(element, "Id", "IBAN")
            parts["other"] = text(element, "Id", "Othr", "Id")
            parts["currency"] = text(element, "Ccy")
        else:
            parts[name] = text(element, "PgNb") if name == "StmtPgntn" else text(element)

    def _take_statement(self, element: Element) -> RawRecord:
        head, group = self._head, self._group
        self._group, self._head = group + 1, _Head()
        self._forget(element)
        return RawRecord("statement", f"/Document/BkToCstmrStmt/Stmt[{group + 1}]", head_body(head), group)

    def _forget(self, element: Element) -> None:
        """Free an element and everything before it under its parent."""
        self._elements = 0
        element.clear()
        parent = element.getparent()
        while parent is not None and element.getprevious() is not None:
            del parent[0]


def balance(element: Element) -> dict[str, str]:
    """Type, signed decimal amount, currency and date of a balance."""
    amount = child(element, "Amt")
    sign = "-" if text(element, "CdtDbtInd") == "DBIT" else ""
    return {
        "type": either(element, ("Tp", "CdOrPrtry", "Cd"), ("Tp", "CdOrPrtry", "Prtry")),
        "amount": sign + (text(amount) if amount is not None else ""),
        "currency": amount.get("Ccy", "") if amount is not None else "",
        "on": either(element, ("Dt", "Dt"), ("Dt", "DtTm"))[:10],
    }


def head_body(head: _Head) -> dict[str, Any]:
    """Fields of a statement's head; a page of a longer statement takes its interim balances for the missing ones."""
    parts, types = head.parts, {entry["type"]: entry for entry in reversed(head.balances)}
    interim = [entry for entry in head.balances if entry["type"] == "ITBD"]
    opening = types.get("OPBD") or types.get("PRCD") or (interim[0] if interim else None)
    closing = types.get("CLBD") or (interim[-1] if len(interim) > (0 if "OPBD" in types else 1) else None)
    return {
        "id": parts.get("Id", ""),
        "number": parts.get("ElctrncSeqNb") or parts.get("LglSeqNb") or "",
        "page": parts.get("StmtPgntn", ""),
        "iban": parts.get("iban", ""),
        "other": parts.get("other", ""),
        "currency": parts.get("currency") or (opening or closing or {}).get("currency", ""),
        "created_at": parts.get("CreDtTm", ""),
        "from": parts.get("from", ""),
        "to": parts.get("to", ""),
        "opening": opening,
        "closing": closing,
        "entries": head.entries,
        "lines": head.lines,
        "credits": str(head.credits),
        "debits": str(head.debits),
        "first_booked_on": head.first_booked_on,
        "last_booked_on": head.last_booked_on,
        "days": {on: str(amount) for on, amount in head.days.items()},
    }


def _decimal(amount: str, place: str) -> Decimal:
    try:
        return Decimal(amount)
    except InvalidOperation:
        raise FormatError("amount_not_valid", f"{place}/Amt", f"{amount!r} is not a decimal number") from None
