"""The auditor's own reader of camt.053: statements with their booked lines, in minor units.

A batch whose details add up to the booked amount, as they stand or net of included charges, is one line per detail;
any other entry is one line. Nothing outside the file is read and no entity is expanded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lxml import etree

from audit.money import decimal_of, to_minor

NOT_GIVEN = frozenset({"NOTPROVIDED", "NONREF"})


@dataclass(frozen=True, slots=True)
class BankLine:
    """One booked line. `signed_minor`: credits positive. Dates are ISO texts; `bank_reference` is the bank's own."""

    currency: str
    signed_minor: int
    booked_on: str
    valued_on: str
    bank_reference: str
    end_to_end: str


@dataclass(frozen=True, slots=True)
class FileStatement:
    """One Stmt of a file. Balances are signed minor units, None where the file has none. `unreadable` says which amount
    is none; such a statement has neither balances nor lines."""

    file: str
    printed_id: str
    number: str
    numbers: frozenset[str]
    currency: str
    from_on: str
    to_on: str
    opening_minor: int | None
    closing_minor: int | None
    lines: tuple[BankLine, ...]
    unreadable: str = ""

    @property
    def moved_minor(self) -> int:
        return sum(line.signed_minor for line in self.lines)


def read_statements(path: Path, file: str) -> Iterator[FileStatement]:
    """Every statement of a file. Raises etree.XMLSyntaxError when it is no XML."""
    context = etree.iterparse(
        str(path), events=("end",), tag="{*}Stmt", resolve_entities=False, no_network=True, load_dtd=False,
        huge_tree=False, remove_comments=True,
    )  # fmt: skip
    for _, element in context:
        yield _statement(element, file)
        element.clear()


def _first(element: Any, *paths: str) -> str:
    """Text of the first of the paths that has some."""
    for path in paths:
        found = element.find("/".join("{*}" + tag for tag in path.split("/"))) if element is not None else None
        if found is not None and found.text and found.text.strip():
            return " ".join(found.text.split())
    return ""


def _all(element: Any, path: str) -> list[Any]:
    return element.findall("/".join("{*}" + tag for tag in path.split("/")))


def _statement(element: Any, file: str) -> FileStatement:
    balances = {_first(b, "Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry"): b for b in reversed(_all(element, "Bal"))}
    opening = balances.get("OPBD")
    if opening is None:
        opening = balances.get("PRCD")
    closing = balances.get("CLBD")
    own = [b for b in (opening, closing) if b is not None]
    currency = _first(element, "Acct/Ccy") or next((_amount(b)[1] for b in own), "")
    last = max((_booked(e) for e in _all(element, "Ntry")), default="")
    to_on = (
        (_day(closing) if closing is not None else "") or last or _first(element, "FrToDt/ToDtTm", "FrToDt/ToDt")[:10]
    )
    lines: list[BankLine] = []
    opened = closed = None
    unreadable = ""
    try:
        opened, closed = _signed(opening, currency), _signed(closing, currency)
        lines = [line for entry in _all(element, "Ntry") for line in _lines(entry, to_on)]
    except ValueError as problem:
        opened, closed, unreadable = None, None, str(problem)
    return FileStatement(
        file=file,
        printed_id=_first(element, "Id"),
        number=_first(element, "ElctrncSeqNb", "LglSeqNb"),
        numbers=frozenset({_plain(_first(element, "Acct/Id/IBAN")), _plain(_first(element, "Acct/Id/Othr/Id"))} - {""}),
        currency=currency,
        from_on=_first(element, "FrToDt/FrDtTm", "FrToDt/FrDt")[:10]
        or min((x.booked_on for x in lines), default=to_on),
        to_on=to_on,
        opening_minor=opened,
        closing_minor=closed,
        lines=tuple(lines),
        unreadable=unreadable,
    )


def _plain(number: str) -> str:
    return "".join(number.split()).upper()


def _amount(element: Any) -> tuple[str, str]:
    found = element.find("{*}Amt")
    return ("", "") if found is None else ((found.text or "").strip(), found.get("Ccy", ""))


def _day(element: Any) -> str:
    return _first(element, "Dt/Dt", "Dt/DtTm")[:10]


def _signed(balance: Any, currency: str) -> int | None:
    if balance is None:
        return None
    text, code = _amount(balance)
    if code != currency or not text:
        return None
    return (-1 if _first(balance, "CdtDbtInd") == "DBIT" else 1) * to_minor(text, currency)


def _booked(entry: Any) -> str:
    return _first(entry, "BookgDt/Dt", "BookgDt/DtTm")[:10]


def _lines(entry: Any, to_on: str) -> Iterator[BankLine]:
    """Booked lines of an entry; pending and informational ones are none."""
    if _first(entry, "Sts/Cd", "Sts") != "BOOK":
        return
    text, currency = _amount(entry)
    sign = 1 if _first(entry, "CdtDbtInd") == "CRDT" else -1
    valued = _first(entry, "ValDt/Dt", "ValDt/DtTm")[:10]
    booked = _booked(entry) or valued or to_on
    reference = _first(entry, "AcctSvcrRef", "NtryRef")
    details = _all(entry, "NtryDtls/TxDtls")
    shares = _shares(entry, details, decimal_of(text, currency), currency) if len(details) > 1 else None
    parts = list(zip(details, shares, strict=True)) if shares else [(details[0] if len(details) == 1 else None, text)]
    for detail, amount in parts:
        if minor := to_minor(str(amount), currency):
            end_to_end = _first(detail, "Refs/EndToEndId")
            yield BankLine(
                currency,
                sign * minor,
                booked,
                valued or booked,
                _first(detail, "Refs/AcctSvcrRef") or reference,
                "" if end_to_end in NOT_GIVEN else end_to_end,
            )


def _shares(entry: Any, details: list[Any], total: Decimal, currency: str) -> list[Decimal] | None:
    """Amounts of the details if they make the booked amount, as they stand or net of their included charges."""
    direction = _first(entry, "CdtDbtInd")
    found = []
    for detail in details:
        amount = detail.find("{*}Amt")
        if amount is None:
            amount = detail.find("{*}AmtDtls/{*}TxAmt/{*}Amt")
        if amount is None or amount.get("Ccy") != currency or _first(detail, "CdtDbtInd") not in ("", direction):
            return None
        found.append(_decimal(amount))
    if min(found) <= 0:
        return None
    if sum(found) == total:
        return found
    net = [amount - _charges(detail, currency) for amount, detail in zip(found, details, strict=True)]
    return net if sum(net) == total and min(net) > 0 else None


def _charges(detail: Any, currency: str) -> Decimal:
    total = Decimal(0)
    for part in _all(detail, "Chrgs"):
        for record in _all(part, "Rcrd") or [part]:
            amount = record.find("{*}Amt")
            included = _first(record, "ChrgInclInd") not in ("false", "0") and _first(record, "CdtDbtInd") != "CRDT"
            if amount is not None and amount.get("Ccy") == currency and included:
                total += _decimal(amount)
    return total


def _decimal(amount: Any) -> Decimal:
    try:
        return decimal_of(amount.text or "", amount.get("Ccy", ""))
    except ValueError:
        return Decimal(0)
