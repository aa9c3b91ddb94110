"""How payments ended against the sample's truth. Pure.

Right = what was applied automatically is what the payer designated or, without a designation, what was truly paid.
Wrong = it differs. A mistaken designation (the payer named somebody else's document) is counted apart.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared.events.codec import Event
from shared.events.ledger import PaymentApplied, PaymentSuggested, PaymentUnapplied
from shared.events.payments import PaymentReceived
from shared.ids import document_id, item_id

Documents = dict[str, tuple[str, str]]


@dataclass
class Score:
    """Counts and minor units in base terms are not mixed: `value` adds minor units of every currency by one rate each."""

    count: Counter[str] = field(default_factory=Counter)
    value: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    missing: int = 0

    def add(self, outcome: str, amount: int) -> None:
        self.count[outcome] += 1
        self.value[outcome] += amount


@dataclass(frozen=True)
class Truth:
    """Truth of one payment: signed relief per item that it paid; what the payer named, per document, with its amount.

    Relief is cash with earned discount and with the fee that a bank kept: on which of several documents the fee falls
    nobody says. A designation names documents; which instalments of them are meant it does not say.
    """

    ref: str
    paid: dict[UUID, int]
    designated: dict[UUID, int | None] | None
    mistaken: bool


def place(payment: PaymentReceived) -> tuple[str, str, int]:
    """Where the payment stood: bank account, statement, place in the file. The details of an entry follow one another."""
    return payment.bank_account, payment.source.statement_id, payment.source.line


def truths(company: str, payments: Iterable[dict[str, Any]], documents: Documents) -> dict[str, Truth]:
    """Truth per payment by its place: bank account, entry reference, number of the detail in the entry."""

    def document(source_id: str) -> UUID:
        system, family = documents[source_id]
        return document_id(company, system, family, source_id)

    found = {}
    for payment in payments:
        paid: dict[UUID, int] = defaultdict(int)
        for part in payment["paid"]:
            relief = part["cash_minor"] + part["discount_minor"] + part["fee_minor"]
            paid[item_id(document(part["source_document_id"]), part["line"])] += relief
        designation = payment["designation"]
        named = _named(designation["documents"], documents, document) if designation else None
        key = place_key(payment["bank_account"], payment["entry_reference"], payment["detail_index"])
        found[key] = Truth(payment["ref"], dict(paid), named, bool(designation and designation["mistaken"]))
    return found


def _named(
    parts: list[dict[str, Any]], documents: Documents, document: Callable[[str], UUID]
) -> dict[UUID, int | None]:
    """Amount per named document; None when one of its mentions says none. Documents never fed count as unknown ids."""
    named: dict[UUID, int | None] = {}
    for part in parts:
        source_id, amount = part["source_document_id"], part["amount_minor"]
        identity = document(source_id) if source_id in documents else document_id("", "", "", source_id)
        known = named.get(identity, 0)
        named[identity] = None if amount is None or known is None else known + amount
    return named


def place_key(bank_account: str, entry_reference: str, detail: int) -> str:
    return f"{bank_account}|{entry_reference}|{detail}"


@dataclass
class Ending:
    """What became of one payment at the end of the log."""

    received: PaymentReceived
    live: dict[UUID, PaymentApplied] = field(default_factory=dict)
    returned: bool = False
    suggested: list[PaymentSuggested] = field(default_factory=list)
    state: Any = None


def endings(events: Iterable[Event]) -> dict[UUID, Ending]:
    """Fold the log into the ending of each payment; a reversed application no longer counts, except after a return."""
    found: dict[UUID, Ending] = {}
    later: list[Event] = []
    for event in events:
        if isinstance(event.data, PaymentReceived):
            found[event.data.payment_id] = Ending(event.data)
        elif event.data is not None and getattr(event.data, "payment_id", None) is not None:
            later.append(event)
    later.sort(key=lambda e: (getattr(e.data, "payment_version", 0), e.envelope.sequence))
    for event in later:
        ending = found.get(event.data.payment_id)
        if ending is not None:
            _fold(ending, event.data)
    return found


def _fold(ending: Ending, data: Any) -> None:
    if isinstance(data, PaymentApplied):
        ending.live[data.posting_id] = data
    elif isinstance(data, PaymentUnapplied):
        if data.reason_code == "RETURNED":
            ending.returned = True
        else:
            ending.live.pop(data.reverses_posting_id, None)
    elif isinstance(data, PaymentSuggested):
        ending.suggested.append(data)
    if hasattr(data, "payment_version"):
        ending.state = data


@dataclass(frozen=True)
class Items:
    """Of every open item of the log: its document, and whether it is a credit."""

    document: dict[UUID, UUID]
    credits: frozenset[UUID]

    @classmethod
    def of(cls, events: Iterable[Event]) -> "Items":
        opened = [event.data for event in events if event.type == "item.opened"]
        credits = frozenset(item.item_id for item in opened if item.side == "credit")
        return cls({item.item_id: item.document_id for item in opened}, credits)


def judge(ending: Ending, truth: Truth | None, items: Items, score: Score, worth: int) -> None:
    """Add one payment to the score; `worth` is its amount in base minor units."""
    automatic = [applied for applied in ending.live.values() if applied.automatic]
    if truth is None:
        score.missing += 1
    if automatic and truth is not None:
        _judge_automatic(automatic, truth, items, score, worth)
    elif ending.suggested and truth is not None:
        first = min(ending.suggested, key=lambda s: s.rank)
        right = {i.item_id for i in first.items} == set(truth.paid)
        score.add("suggested, right at rank 1" if right else "suggested, other", worth)
    else:
        score.add("held back", worth)
    if ending.returned:
        score.add("of all: returned by the bank", worth)


def _judge_automatic(automatic: list[PaymentApplied], truth: Truth, items: Items, score: Score, worth: int) -> None:
    cash: dict[UUID, int] = defaultdict(int)
    for applied in automatic:
        score.rules[applied.rule] += 1
        for part in applied.applications:
            relief = part.cash_minor + part.discount_minor + part.bank_charge_minor
            cash[part.item_id] += -relief if part.item_id in items.credits else relief
    if not is_right(dict(cash), truth, items):
        score.wrong.append(f"{truth.ref} by {automatic[0].rule}")
        score.add("automatic WRONG", worth)
    elif truth.mistaken:
        score.add("automatic right, as named, though by mistake", worth)
    else:
        score.add("automatic right", worth)


def is_right(cash: dict[UUID, int], truth: Truth, items: Items) -> bool:
    """Whether what was applied is what the payer named, else what was truly paid. Less is right: the rest then stays
    with the account for a person.

    Against a designation: no document that was not named, and on none more than was named for it or truly paid on it.
    Against the truth: no item that was not paid and not more than was paid on it.
    """
    if truth.designated is None:
        return all(item in truth.paid and abs(amount) <= abs(truth.paid[item]) for item, amount in cash.items())
    applied, paid = _per_document(cash, items), _per_document(truth.paid, items)
    for document, amount in applied.items():
        if document not in truth.designated:
            return False
        named = truth.designated[document]
        most = max(abs(named or 0), abs(paid.get(document, 0)))
        if most and abs(amount) > most:
            return False
    return True


def _per_document(cash: dict[UUID, int], items: Items) -> dict[UUID, int]:
    found: dict[UUID, int] = defaultdict(int)
    for item, amount in cash.items():
        if item in items.document:
            found[items.document[item]] += amount
    return found
