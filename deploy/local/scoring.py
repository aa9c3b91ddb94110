"""How payments ended against the sample's truth. Pure.

Right = what was applied automatically is what the payer designated or, without a designation, what was truly paid.
Wrong = it differs. A mistaken designation (the payer named somebody else's document) is counted apart.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
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
    """Truth of one payment as items: what it paid, what the payer named."""

    ref: str
    paid: dict[UUID, int]
    designated: dict[UUID, int | None] | None
    mistaken: bool


def place(payment: PaymentReceived) -> tuple[str, str, int]:
    """Where the payment stood: bank account, statement, place in the file. The details of an entry follow one another."""
    return payment.bank_account, payment.source.statement_id, payment.source.line


def truths(company: str, payments: Iterable[dict[str, Any]], documents: Documents) -> dict[str, Truth]:
    """Truth per payment by its place: bank account, entry reference, number of the detail in the entry."""

    def item(source_id: str, line: str = "001") -> UUID:
        system, family = documents[source_id]
        return item_id(document_id(company, system, family, source_id), line)

    found = {}
    for payment in payments:
        designation = payment["designation"]
        named = None
        if designation:
            named = {
                item(d["source_document_id"]): d["amount_minor"]
                for d in designation["documents"]
                if d["source_document_id"] in documents
            }
        paid: dict[UUID, int] = defaultdict(int)
        for part in payment["paid"]:
            paid[item(part["source_document_id"], part["line"])] += part["cash_minor"]
        key = place_key(payment["bank_account"], payment["entry_reference"], payment["detail_index"])
        found[key] = Truth(payment["ref"], dict(paid), named, bool(designation and designation["mistaken"]))
    return found


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


def judge(ending: Ending, truth: Truth | None, score: Score, worth: int) -> None:
    """Add one payment to the score; `worth` is its amount in base minor units."""
    automatic = [a for a in ending.live.values() if a.automatic]
    if truth is None:
        score.missing += 1
    cash: dict[UUID, int] = defaultdict(int)
    for applied in automatic:
        score.rules[applied.rule] += 1
        for part in applied.applications:
            cash[part.item_id] += part.cash_minor
    if automatic and truth is not None:
        outcome = "automatic right" if is_right(dict(cash), truth) else "automatic WRONG"
        if truth.mistaken and truth.designated is not None and outcome == "automatic right":
            outcome = "automatic as the payer named it, though by mistake"
        if outcome == "automatic WRONG":
            score.wrong.append(f"{truth.ref} {ending.received.payment_id} by {automatic[0].rule}")
        score.add(outcome, worth)
    elif ending.suggested and truth is not None:
        first = min(ending.suggested, key=lambda s: s.rank)
        right = {i.item_id for i in first.items} == set(truth.paid)
        score.add("suggested, right at rank 1" if right else "suggested, other", worth)
    else:
        score.add("held back", worth)
    if ending.returned:
        score.add("of all: returned by the bank", worth)


def is_right(cash: dict[UUID, int], truth: Truth) -> bool:
    """Whether what was applied is what the payer named, else what was truly paid.

    Against a designation: no item that was not named, and not more on an item than was named for it. Against the truth:
    no item that was not paid, and not more than was paid on it; less is right when the rest stays with the account.
    """
    if truth.designated is not None:
        return all(i in truth.designated and (truth.designated[i] is None or c <= truth.designated[i]) for i, c in cash.items())
    return all(i in truth.paid and c <= truth.paid[i] for i, c in cash.items())
