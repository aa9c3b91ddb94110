"""How payments ended against the sample's truth. Pure.

Signed relief (cash, earned discount, fee kept by a bank) is compared, per document where the payer named documents,
else per item. Wrong = anything applied automatically that oversteps what was named or, without a designation, paid.
A designation that was itself a mistake of the payer stays apart. Value = the cash that was applied automatically.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from shared.events.codec import Event
from shared.events.ledger import (
    Application,
    ItemState,
    PaymentApplied,
    PaymentSuggested,
    PaymentUnapplied,
    SuggestionWithdrawn,
)
from shared.events.payments import PaymentReceived
from shared.ids import document_id, item_id

Documents = dict[str, tuple[str, str]]

RIGHT = "automatic right"
IN_PART = "automatic right in part, rest held back"
WRONG = "automatic WRONG"
BY_MISTAKE = "automatic as named, though by mistake"
SUGGESTED_RIGHT = "suggested, right at rank 1"
SUGGESTED_OTHER = "suggested, other"
BY_PERSON = "applied by a person"
HELD_BACK = "held back"
NEVER_RECEIVED = "in the truth, never received"


@dataclass
class Score:
    """Payments and base minor units per ending. `worth` is the value of all payments, `left` what stayed beside an
    automatic part; so value over all endings + left = worth."""

    count: Counter[str] = field(default_factory=Counter)
    value: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    worth: int = 0
    left: int = 0
    returned: int = 0
    missing: int = 0

    @property
    def payments(self) -> int:
        return self.count.total()

    def add(self, ending: str, worth: int, applied: int | None = None) -> None:
        """One payment of `worth`; `applied` is what the machine put on items of it, None when that is not the point."""
        value = worth if applied is None else min(applied, worth)
        self.count[ending] += 1
        self.value[ending] += value
        self.worth += worth
        self.left += worth - value

    def share(self, *endings: str) -> tuple[Decimal, Decimal]:
        """Share of the endings in all payments, by count and by value; 0 where there is nothing."""
        count, value = (sum(figures[ending] for ending in endings) for figures in (self.count, self.value))
        return Decimal(count) / max(1, self.payments), Decimal(value) / max(1, self.worth)


@dataclass(frozen=True)
class Truth:
    """Truth of one payment in signed minor units: `most` may be applied at most, `due` must be for the whole.

    Both are per document when `by_document`, since a designation does not say which instalment it means and nobody
    says on which of several documents a fee falls; else per item. `paid` is per item in any case.
    """

    ref: str
    currency: str
    amount_minor: int
    paid: dict[UUID, int]
    most: dict[UUID, int]
    due: dict[UUID, int]
    by_document: bool = False
    mistaken: bool = False


def place(payment: PaymentReceived) -> tuple[str, str, int]:
    """Where it stood: bank account, statement, place in the file. The details of an entry follow one another."""
    return payment.bank_account, payment.source.statement_id, payment.source.line


def place_key(bank_account: str, entry_reference: str, detail: int) -> str:
    return f"{bank_account}|{entry_reference}|{detail}"


def truths(company: str, payments: Iterable[dict[str, Any]], documents: Documents) -> dict[str, Truth]:
    """Truth per payment by its place: bank account, entry reference, number of the detail in the entry."""

    def document(source_id: str) -> UUID:
        """Documents that were never fed count as unknown ids."""
        if source_id not in documents:
            return document_id("", "", "", source_id)
        return document_id(company, *documents[source_id], source_id)

    payments = list(payments)
    by_ref = {payment["ref"]: payment for payment in payments}
    return {
        place_key(payment["bank_account"], payment["entry_reference"], payment["detail_index"]): _truth(
            payment, by_ref.get(payment["repeats"] or ""), document
        )
        for payment in payments
    }


def _truth(payment: dict[str, Any], repeated: dict[str, Any] | None, document: Callable[[str], UUID]) -> Truth:
    paid: dict[UUID, int] = defaultdict(int)
    for part in payment["paid"]:
        paid[item_id(document(part["source_document_id"]), part["line"])] += _relief(part)
    head = (payment["ref"], payment["currency"], payment["amount_minor"], dict(paid))
    designation = payment["designation"]
    if designation is None:
        return Truth(*head, most=dict(paid), due=dict(paid))
    most = {document(source_id): minor for source_id, minor in _most(payment, repeated).items()}
    relief = {document(source_id): minor for source_id, minor in _per_document(payment, _relief).items()}
    due = {identity: min(relief.get(identity, 0), minor, key=abs) for identity, minor in most.items()}
    return Truth(*head, most=most, due=due, by_document=True, mistaken=designation["mistaken"])


def _most(payment: dict[str, Any], repeated: dict[str, Any] | None) -> dict[str, int]:
    """What a designation allows per document: the amount named with the discount earned; without an amount what was
    paid on it; on a document that it did not pay what the payment that it repeats did, or all of it by mistake."""
    relief, discount = _per_document(payment, _relief), _per_document(payment, lambda part: part["discount_minor"])
    before = _per_document(repeated, _relief) if repeated else {}
    unpaid = payment["amount_minor"] if payment["designation"]["mistaken"] else 0
    named: dict[str, int | None] = {}
    for part in payment["designation"]["documents"]:
        source_id, amount = part["source_document_id"], part["amount_minor"]
        known = named.get(source_id, 0)
        named[source_id] = None if amount is None or known is None else known + amount
    return {
        source_id: relief.get(source_id, before.get(source_id, unpaid))
        if amount is None
        else amount + discount.get(source_id, 0)
        for source_id, amount in named.items()
    }


def _relief(part: dict[str, Any]) -> int:
    return int(part["cash_minor"] + part["discount_minor"] + part["fee_minor"])


def _per_document(payment: dict[str, Any], figure: Callable[[dict[str, Any]], int]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for part in payment["paid"]:
        found[part["source_document_id"]] += figure(part)
    return dict(found)


@dataclass
class Ending:
    """What became of one payment at the end of the log.

    `live` and `taken_back` hold postings by entry and account, since an entry tells one event per account. A return
    by the bank takes nothing from the decision: those postings stay `live`.
    """

    received: PaymentReceived
    live: dict[tuple[UUID, str], PaymentApplied] = field(default_factory=dict)
    taken_back: list[tuple[PaymentApplied, str]] = field(default_factory=list)
    suggested: dict[tuple[str, int], PaymentSuggested] = field(default_factory=dict)
    returns: set[UUID] = field(default_factory=set)


def endings(events: Iterable[Event]) -> dict[UUID, Ending]:
    """Fold the log into the ending of each payment. Suggestions are told in order within their account."""
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
    if isinstance(data, PaymentApplied) and data.posting_id not in ending.returns:
        ending.live[data.posting_id, data.account_id] = data
    elif isinstance(data, PaymentUnapplied) and data.reason_code == "RETURNED":
        ending.returns.add(data.posting_id)
    elif isinstance(data, PaymentUnapplied):
        posting = ending.live.get((data.reverses_posting_id, data.account_id))
        if posting is not None:
            ending.taken_back.append((posting, data.reason_code))
            if data.reason_code != "DOCUMENT_CANCELLED":
                del ending.live[data.reverses_posting_id, data.account_id]
    elif isinstance(data, PaymentSuggested):
        ending.suggested[data.account_id, data.rank] = data
    elif isinstance(data, SuggestionWithdrawn):
        ending.suggested.pop((data.account_id, data.rank), None)


@dataclass(frozen=True)
class Items:
    """Of the items of the log: document, which are credits, which were cancelled, and what a deduction came from."""

    document: dict[UUID, UUID]
    credits: frozenset[UUID] = frozenset()
    cancelled: frozenset[UUID] = frozenset()
    origin: dict[UUID, UUID] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> "Items":
        events = list(events)
        opened = [event.data for event in events if event.type == "item.opened"]
        return cls(
            {item.item_id: item.document_id for item in opened},
            frozenset(item.item_id for item in opened if item.side == "credit"),
            frozenset(e.data.item_id for e in events if isinstance(e.data, ItemState) and e.data.relief.cancelled),
            {e.data.item_id: e.data.from_item_id for e in events if e.type == "deduction.raised"},
        )

    def subject(self, item: UUID, truth: Truth) -> UUID:
        """What the truth speaks of where money lies on `item`; an item that was never opened is in no truth."""
        return self.document.get(item, item) if truth.by_document else self.origin.get(item, item)


def judge(ending: Ending, truth: Truth | None, items: Items, score: Score, rate: Decimal) -> None:
    """Add one payment to the score; `rate` is base units for one unit of its currency."""
    worth = int(ending.received.amount_minor * rate)
    score.missing += truth is None
    score.returned += bool(ending.returns)
    automatic = [posting for posting in ending.live.values() if posting.automatic]
    taken_back = [(posting, reason) for posting, reason in ending.taken_back if posting.automatic]
    standing = [part for posting in automatic for part in _parts(posting, ending, items)]
    score.rules.update(posting.rule for posting in automatic)
    if _is_wrong(automatic, taken_back, standing, truth, items):
        postings = list({id(p): p for p in [*automatic, *(p for p, _ in taken_back)]}.values())
        score.wrong.append(f"{truth.ref if truth else 'no truth'} by {postings[-1].rule}")
        score.add(WRONG, worth, int(sum(abs(_cash(p.applications, items)) for p in postings) * rate))
    elif standing and truth is not None:
        score.add(_right(_sums(standing, truth, items), truth), worth, int(_cash(standing, items) * rate))
    else:
        score.add(_unposted(ending, truth), worth)


def _parts(posting: PaymentApplied, ending: Ending, items: Items) -> list[Application]:
    """Applications that stand: the ones of a cancelled document were given back, the others of the entry were not."""
    if not any(taken is posting for taken, _ in ending.taken_back):
        return list(posting.applications)
    return [part for part in posting.applications if part.item_id not in items.cancelled]


def _is_wrong(
    automatic: list[PaymentApplied],
    taken_back: list[tuple[PaymentApplied, str]],
    standing: list[Application],
    truth: Truth | None,
    items: Items,
) -> bool:
    """Whether the machine ever put money where it does not belong, whether it still lies there or was taken back."""
    if truth is None:
        return bool(automatic or taken_back)
    if any(reason == "MISAPPLIED" for _, reason in taken_back):
        return True
    return any(_oversteps(parts, truth, items) for parts in (standing, *(p.applications for p, _ in taken_back)))


def _oversteps(parts: list[Application], truth: Truth, items: Items) -> bool:
    """Another item or document, more than named or paid, or money in the wrong direction."""
    if any(_own_relief(part) < 0 for part in parts):
        return True
    for subject, minor in _sums(parts, truth, items).items():
        most = truth.most.get(subject)
        if most is None or abs(minor) > abs(most) or minor * most < 0:
            return True
    return False


def _right(applied: dict[UUID, int], truth: Truth) -> str:
    if truth.mistaken:
        return BY_MISTAKE
    whole = all(abs(applied.get(subject, 0)) >= abs(minor) for subject, minor in truth.due.items())
    return RIGHT if whole else IN_PART


def _unposted(ending: Ending, truth: Truth | None) -> str:
    if ending.live:
        return BY_PERSON
    if not ending.suggested:
        return HELD_BACK
    first = min(ending.suggested.values(), key=lambda suggestion: suggestion.rank)
    found = {item.item_id: item.amount_minor for item in first.items}
    right = truth is not None and first.rank == 1 and bool(found) and found.keys() == truth.paid.keys()
    if right and truth is not None and all(minor <= abs(truth.paid[item]) for item, minor in found.items()):
        return SUGGESTED_RIGHT
    return SUGGESTED_OTHER


def _sums(parts: Iterable[Application], truth: Truth, items: Items) -> dict[UUID, int]:
    """Signed relief per subject; that of a credit item is negative, as in the truth."""
    found: dict[UUID, int] = defaultdict(int)
    for part in parts:
        relief = _own_relief(part)
        found[items.subject(part.item_id, truth)] += -relief if part.item_id in items.credits else relief
    return dict(found)


def _own_relief(part: Application) -> int:
    """In the item's own direction: a credit item gives cash, with a positive sign."""
    return part.cash_minor + part.discount_minor + part.bank_charge_minor


def _cash(parts: Iterable[Application], items: Items) -> int:
    return sum(-part.cash_minor if part.item_id in items.credits else part.cash_minor for part in parts)
