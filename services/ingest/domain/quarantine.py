"""Records that are held back: their id, what is known of them for the gate, and the facts that say so.

Invariant: the same refused content has one id, and every held-back record ends in exactly one record.released.
"""

import hashlib
from typing import Any
from uuid import UUID

import orjson

from services.ingest.domain.fields import Body, Refused, minor, text
from services.ingest.domain.known import Quarantined, Said, StagedRecord
from shared.events.catalogue import ACCOUNTS, INVOICES, PAYMENTS
from shared.events.payments import RecordQuarantined, RecordReleased
from shared.ids import derive

HINTS_MAX = 20
_TOPICS = {"customer": ACCOUNTS, "contact": ACCOUNTS, "link": ACCOUNTS}
_BANK = frozenset({"payment", "bank_line", "statement", "bank_reach"})
_HINT_FIELDS = ("number", "source_document_id", "name", "payment_reference", "source_payment_id", "contact_id")


def topic_of(kind: str) -> str:
    """The topic on which a record of this kind would have gone."""
    return PAYMENTS if kind in _BANK else _TOPICS.get(kind, INVOICES)


def record_id_of(company: str, record: StagedRecord) -> UUID:
    """Identity of a refused record: its content; for a bank line also its place among equal lines."""
    content = hashlib.sha256(orjson.dumps(record.body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return record.record_id or derive("record", company, record.kind, record.statement_id, record.nth, content)


def held_back(
    company: str, record: StagedRecord, refused: Refused, subject: str, before: Quarantined | None
) -> Quarantined:
    """The quarantine entry of a refused record."""
    currency = _text(record.body, "currency") or None
    return Quarantined(
        record_id=record_id_of(company, record),
        kind=record.kind,
        subject=subject,
        code=refused.code,
        reason=refused.reason[:1_000],
        state="open",
        times=before.times + 1 if before else 1,
        account_id=(_text(record.body, "account_id") or _text(record.body, "from_account_id"))[:60] or None,
        amount_minor=_amount(record.body, currency),
        currency=currency,
        hints=tuple(_hints(record.body)),
    )


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    return value.strip()[:200] if isinstance(value, str) else ""


def _amount(body: Body, currency: str | None) -> int | None:
    """Amount as far as it can be read; its sign is left out."""
    try:
        return abs(minor(body.get("total") or body.get("amount"), currency or "", "amount", signed=True))
    except Refused:
        return None


def _hints(body: Body) -> list[str]:
    found: list[Any] = [_text(body, name) for name in _HINT_FIELDS]
    party = body.get("debtor") or body.get("payer") or {}
    references = body.get("references") or {}
    for holder, names in ((party, ("name", "account")), (references, ("end_to_end", "creditor_reference"))):
        if isinstance(holder, dict):
            found += [_text(holder, name) for name in names]
    texts = body.get("text")
    found += [line for line in texts if isinstance(line, str)] if isinstance(texts, list) else []
    return [hint[:200] for hint in found if hint][:HINTS_MAX]


def quarantined_said(company: str, entry: Quarantined, field: str) -> Said:
    """The fact has one sentence: code, the field where the reason does not name it, and the reason."""
    named = "" if field in entry.reason else f"{field}: "
    fact = RecordQuarantined(**_facts(company, entry), reason=f"{entry.code}: {named}{entry.reason}")
    return _said(fact, entry)


def released_said(company: str, entry: Quarantined, outcome: str) -> Said:
    fact = RecordReleased(**_facts(company, entry), reason=outcome)
    return _said(fact, entry)


def _facts(company: str, entry: Quarantined) -> dict[str, Any]:
    return {
        "company": company,
        "record_id": entry.record_id,
        "kind": entry.kind,
        "account_id": entry.account_id,
        "amount_minor": entry.amount_minor,
        "currency": entry.currency,
        "hints": list(entry.hints),
        "times": entry.times,
    }


def _said(fact: RecordQuarantined | RecordReleased, entry: Quarantined) -> Said:
    identity = derive("event", fact.TYPE, entry.record_id, entry.times)
    return Said(fact, str(entry.record_id), identity, topic_of(entry.kind), str(entry.record_id))


def subject_of(company: str, kind: str, body: Body) -> str:
    """What a record is about, for records of master data and payments; documents have their id."""
    if kind == "customer":
        return f"account/{text(body, 'account_id')}"
    if kind == "contact":
        return f"contact/{text(body, 'account_id')}/{text(body, 'contact_id')}"
    if kind == "link":
        names = ("from_account_id", "to_account_id", "kind")
        return "link/" + "/".join(text(body, name) for name in names)
    return ""
