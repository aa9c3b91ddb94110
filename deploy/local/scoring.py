"""How payments ended against the sample's truth. Pure.

Signed relief (cash, earned discount, fee kept by a bank) is compared, per document where the payer named documents,
else per item. Wrong = anything applied automatically that oversteps what was named or, without a designation, paid.
A designation that was itself a mistake of the payer stays apart. Value = the cash that was applied automatically.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from deploy.local.endings import Ending
from deploy.local.truth import Truth
from shared.events.codec import Event
from shared.events.ledger import (
    Application,
    ItemState,
    PaymentApplied,
)

RIGHT = "automatic right"
IN_PART = "automatic right in part, rest held back"
WRONG = "automatic WRONG"
BY_MISTAKE = "automatic as named, though by mistake"
SUGGESTED_RIGHT = "suggested, right at rank 1"
SUGGESTED_OTHER = "suggested, other"
BY_PERSON = "applied by a person"
HELD_BACK = "held back"
NEVER_RECEIVED = "in the truth, never received"
ENDINGS = (
    RIGHT,
    IN_PART,
    WRONG,
    BY_MISTAKE,
    SUGGESTED_RIGHT,
    SUGGESTED_OTHER,
    BY_PERSON,
    HELD_BACK,
    NEVER_RECEIVED,
)


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
    """Another item or document, more than named or paid, money in the wrong direction, or a deduction given away."""
    if any(_own_relief(part) < 0 for part in parts):
        return True
    if any(part.small_difference_minor and items.subject(part.item_id, truth) in truth.kept for part in parts):
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
