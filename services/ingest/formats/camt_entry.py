"""One camt entry and its details as neutral bank lines: a batch becomes one line per detail if the details add up.

Invariant: the amounts of an entry's lines sum to the entry's booked amount; details that do not add up stay
together as one line of the booked amount.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from services.ingest.formats import camt_remittance
from services.ingest.formats.records import TEXT_LINES_MAX
from services.ingest.formats.xml_parts import Element, child, children, either, text


def entry(element: Element) -> dict[str, Any]:
    """Fields of an Ntry itself, without its details."""
    amount = child(element, "Amt")
    return {
        "amount": text(amount) if amount is not None else "",
        "currency": amount.get("Ccy", "") if amount is not None else "",
        "direction": text(element, "CdtDbtInd"),
        "reversal": text(element, "RvslInd") in ("true", "1"),
        "status": either(element, ("Sts", "Cd"), ("Sts",)),
        "booked_on": either(element, ("BookgDt", "Dt"), ("BookgDt", "DtTm"))[:10],
        "valued_on": either(element, ("ValDt", "Dt"), ("ValDt", "DtTm"))[:10],
        "entry_reference": either(element, ("AcctSvcrRef",), ("NtryRef",)),
        "code": _code(element),
        "charges": _charges(element),
        "information": text(element, "AddtlNtryInf"),
        "batch": child(element, "NtryDtls", "Btch") is not None,
    }


def detail(element: Element) -> dict[str, Any]:
    """Fields of one TxDtls."""
    parties, agents, refs = child(element, "RltdPties"), child(element, "RltdAgts"), child(element, "Refs")
    return {
        "amount": _amount(element),
        "original": _original(element),
        "charges": _charges(element),
        "code": _code(element),
        "direction": text(element, "CdtDbtInd"),
        "references": _references(refs),
        "debtor": _party(parties, agents, "Dbtr"),
        "creditor": _party(parties, agents, "Cdtr"),
        "ultimate": either(parties, ("UltmtDbtr", "Nm"), ("UltmtDbtr", "Pty", "Nm")),
        "information": text(element, "AddtlTxInf"),
        "return": _return(element),
        **camt_remittance.remittance(child(element, "RmtInf")),
    }


def lines(entry: dict[str, Any], details: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Neutral lines of an entry; `place` is the tail of each line's path."""
    if len(details) <= 1:
        part = details[0] if details else {}
        charges = part.get("charges") or entry["charges"]
        yield _line(entry, part, entry["amount"], charges, 0)
        return
    amounts = _shares(entry, details)
    if amounts is None:
        yield _whole(entry, details)
        return
    for number, (part, amount) in enumerate(zip(details, amounts, strict=True), 1):
        yield _line(entry, part, amount, part["charges"], number)


def _shares(entry: dict[str, Any], details: list[dict[str, Any]]) -> list[str] | None:
    """Amount of each detail in the entry's currency, net of its charges if only that adds up; None if nothing does."""
    parts = [_in_currency(part["amount"], entry["currency"]) for part in details]
    total = _number(entry["amount"])
    if total is None or any(part is None for part in parts):
        return None
    signed = [part if _same_way(entry, detail) else -part for part, detail in zip(parts, details, strict=True)]
    if any(part <= 0 for part in signed):
        return None
    if sum(signed) == total:
        return [str(part) for part in signed]
    charges = [_number(part["charges"].get(entry["currency"], "0")) or Decimal(0) for part in details]
    net = [part - charge for part, charge in zip(signed, charges, strict=True)]
    return [str(part) for part in net] if sum(net) == total and min(net) > 0 else None


def _same_way(entry: dict[str, Any], part: dict[str, Any]) -> bool:
    return part["direction"] in ("", entry["direction"])


def _line(
    entry: dict[str, Any], part: dict[str, Any], amount: str, charges: dict[str, str], number: int
) -> dict[str, Any]:
    references = dict(part.get("references") or {})
    bank_reference = references.pop("bank", "") or entry["entry_reference"]
    own = {"creditor_reference": part.get("creditor_reference", "")}
    return {
        "place": f"/NtryDtls/TxDtls[{number}]" if number else "",
        "direction": entry["direction"],
        "reversal": entry["reversal"],
        "status": entry["status"],
        "amount": amount,
        "currency": entry["currency"],
        "booked_on": entry["booked_on"],
        "valued_on": entry["valued_on"],
        "entry_reference": entry["entry_reference"],
        "detail": number,
        "code": part.get("code") or entry["code"],
        "entry_code": entry["code"],
        "charges": charges.get(entry["currency"], ""),
        "references": {**references, **own, "bank": bank_reference},
        "debtor": part.get("debtor", {}),
        "creditor": part.get("creditor", {}),
        "text": _texts(entry, part),
        "remittance": part.get("remittance", []),
        "original": part.get("original"),
        "return": part.get("return"),
    }


def _whole(entry: dict[str, Any], details: list[dict[str, Any]]) -> dict[str, Any]:
    """One line for a batch whose details do not add up: booked amount, every text, no payer."""
    line = _line(entry, {}, entry["amount"], entry["charges"], 0)
    texts = [text for part in details for text in _texts({"information": ""}, part)]
    references = [part["creditor_reference"] for part in details if part["creditor_reference"]]
    line["text"] = [*line["text"], *references, *texts][:TEXT_LINES_MAX]
    line["remittance"] = camt_remittance.bounded([entry for part in details for entry in part["remittance"]])
    line["return"] = next((part["return"] for part in details if part["return"]), None)
    line["details_differ"] = True
    return line


def _texts(entry: dict[str, Any], part: dict[str, Any]) -> list[str]:
    found = list(part.get("text") or [])
    if not found:
        found = [text for text in (part.get("information", ""), entry["information"]) if text]
    if part.get("ultimate"):
        found.append(f"/ULTD/{part['ultimate']}")
    return list(dict.fromkeys(found))[:TEXT_LINES_MAX]


def _amount(element: Element) -> dict[str, str]:
    """Currency -> amount of a detail, from Amt (.04 and later) or AmtDtls/TxAmt (.02)."""
    found = child(element, "Amt")
    if found is None:
        found = child(element, "AmtDtls", "TxAmt", "Amt")
    return {found.get("Ccy", ""): text(found)} if found is not None else {}


def _original(element: Element) -> dict[str, str] | None:
    found = child(element, "AmtDtls", "InstdAmt", "Amt")
    if found is None:
        return None
    rate = either(
        child(element, "AmtDtls"),
        ("InstdAmt", "CcyXchg", "XchgRate"),
        ("TxAmt", "CcyXchg", "XchgRate"),
        ("CntrValAmt", "CcyXchg", "XchgRate"),
    )
    return {"amount": text(found), "currency": found.get("Ccy", ""), "rate": rate}


def _charges(element: Element) -> dict[str, str]:
    """Currency -> charges that are included in the amount; charges booked on a line of their own are left out."""
    sums: dict[str, Decimal] = {}
    records: list[Element] = []
    for part in children(element, "Chrgs"):
        records += children(part, "Rcrd") or [part]
    for record in records:
        amount = child(record, "Amt")
        value = _number(text(amount)) if amount is not None else None
        if value is None or text(record, "ChrgInclInd") in ("false", "0") or text(record, "CdtDbtInd") == "CRDT":
            continue
        currency = amount.get("Ccy", "")
        sums[currency] = sums.get(currency, Decimal(0)) + value
    return {currency: str(value) for currency, value in sums.items() if value}


def _code(element: Element) -> str:
    """Domain/family/sub-family, such as PMNT/RCDT/ESCT; the bank's own code where there is none."""
    code = child(element, "BkTxCd")
    if code is None:
        return ""
    parts = [text(code, "Domn", "Cd"), text(code, "Domn", "Fmly", "Cd"), text(code, "Domn", "Fmly", "SubFmlyCd")]
    return "/".join(parts) if parts[0] else text(code, "Prtry", "Cd")


def _references(refs: Element | None) -> dict[str, str]:
    end_to_end = text(refs, "EndToEndId")
    return {
        "end_to_end": "" if end_to_end in ("NOTPROVIDED", "NONREF") else end_to_end,
        "uetr": text(refs, "UETR"),
        "mandate": text(refs, "MndtId"),
        "cheque": text(refs, "ChqNb"),
        "bank": text(refs, "AcctSvcrRef"),
    }


def _party(parties: Element | None, agents: Element | None, role: str) -> dict[str, str]:
    party = child(parties, role)
    address = child(party, "PstlAdr")
    if address is None:
        address = child(party, "Pty", "PstlAdr")
    agent = child(agents, f"{role}Agt", "FinInstnId")
    found = {
        "name": either(party, ("Nm",), ("Pty", "Nm")),
        "account": either(child(parties, f"{role}Acct"), ("Id", "IBAN"), ("Id", "Othr", "Id")),
        "bank": either(agent, ("BICFI",), ("BIC",), ("Nm",)),
        "address": ", ".join(line for part in (address if address is not None else []) if (line := text(part))),
    }
    return {name: value for name, value in found.items() if value}


def _return(element: Element) -> dict[str, str] | None:
    found = child(element, "RtrInf")
    if found is None:
        return None
    return {"code": either(found, ("Rsn", "Cd"), ("Rsn", "Prtry")), "text": text(found, "AddtlInf")}


def _in_currency(amounts: dict[str, str], currency: str) -> Decimal | None:
    return _number(amounts[currency]) if currency in amounts else None


def _number(amount: str) -> Decimal | None:
    try:
        value = Decimal(amount)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
