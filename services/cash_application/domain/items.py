"""Open items: one per instalment of a document, one per deduction; what is left of each and how the rest was relieved.

Invariant: original = remaining + the sum of relief by funding, and remaining is between 0 and original.
"""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from services.cash_application.domain.exchange import Rate
from services.cash_application.domain.journal import DEBIT, FUNDINGS, Imbalance, Ledger, Line
from services.cash_application.domain.matching.model import Discount, ItemView
from shared.events.ledger import ItemChanged, ItemOpened, ItemReopened, ItemSettled, ItemState, Relief
from shared.money import allocate

FUNDING_AT = {name: place for place, name in enumerate(FUNDINGS)}
NO_RELIEF = Relief()


@dataclass(slots=True)
class Item:
    """An open item in the books of a batch. `before_minor` is what remained when the current cause began."""

    company: str
    item_id: UUID
    document_id: UUID
    line: str
    number: str
    kind: str
    side: str
    account_id: str
    currency: str
    original_minor: int
    remaining_minor: int
    document_on: date
    due_on: date
    business_date: date
    accounted_on: date
    rate: Rate
    payment_reference: str = ""
    discounts: tuple[Discount, ...] = ()
    disputed_minor: int = 0
    relief: list[int] = field(default_factory=lambda: [0] * len(FUNDINGS))
    version: int = 0
    posting_id: UUID | None = None
    fresh: bool = False
    before_minor: int = 0
    valued_on: date | None = None
    cause: str = ""

    @property
    def ledger(self) -> Ledger:
        return Ledger.AR_DED if self.kind == "deduction" else Ledger.AR

    @property
    def sign(self) -> int:
        return 1 if self.side == DEBIT else -1

    @property
    def disputed_now_minor(self) -> int:
        """The disputed part of what still remains."""
        return min(self.disputed_minor, self.remaining_minor)

    def opening_line(self) -> Line:
        """The line that brings the item into the books."""
        base = self.rate.base(self.original_minor)
        return Line(
            self.ledger, self.sign * self.original_minor, self.sign * base, self.account_id, self.item_id, self.side
        )

    def relieve(self, funding: str, amount_minor: int) -> Line:
        """Relief of the item; a negative amount takes relief back. Raises Imbalance when a bound would break."""
        remaining = self.remaining_minor - amount_minor
        place = FUNDING_AT[funding]
        if not 0 <= remaining <= self.original_minor or self.relief[place] + amount_minor < 0:
            raise Imbalance(
                f"item {self.item_id} has {self.remaining_minor} of {self.original_minor} {self.currency} left and "
                f"cannot be relieved of {amount_minor} by {funding}"
            )
        relieved = self.original_minor - self.remaining_minor
        base = self.rate.step(relieved, relieved + amount_minor)
        self.remaining_minor = remaining
        self.relief[place] += amount_minor
        sign = -self.sign
        return Line(
            self.ledger, sign * amount_minor, sign * base, self.account_id, self.item_id, self.side, funding=funding
        )

    def view(self) -> ItemView:
        """The item as the matcher sees it; posting and version name the state it decides on."""
        return ItemView(
            item_id=str(self.item_id),
            document_id=str(self.document_id),
            number=self.number,
            account_id=self.account_id,
            currency=self.currency,
            original_minor=self.original_minor,
            remaining_minor=self.remaining_minor,
            due_on=self.due_on,
            document_on=self.document_on,
            line=self.line,
            kind=self.kind,
            side=self.side,
            disputed_minor=self.disputed_now_minor,
            payment_reference=self.payment_reference or None,
            discounts=self.discounts,
            version=self.version,
            posting_hash=self.posting_id.hex if self.posting_id else "",
        )


def item_fact(item: Item) -> ItemState:
    """The one event of a touched item: which type follows from what remained before and remains now."""
    if item.version == 1:
        model: type[ItemState] = ItemOpened
    elif item.remaining_minor == 0 and item.before_minor > 0:
        model = ItemSettled
    elif item.remaining_minor > 0 and item.before_minor == 0 and item.original_minor > 0:
        model = ItemReopened
    else:
        model = ItemChanged
    relieved = item.original_minor - item.remaining_minor
    return model(
        company=item.company,
        item_id=item.item_id,
        document_id=item.document_id,
        line=item.line,
        number=item.number,
        kind=item.kind,
        side=item.side,
        account_id=item.account_id,
        version=item.version,
        currency=item.currency,
        original_minor=item.original_minor,
        remaining_minor=item.remaining_minor,
        disputed_minor=item.disputed_now_minor,
        relief=Relief(**dict(zip(FUNDINGS, item.relief, strict=True))) if relieved else NO_RELIEF,
        document_on=item.document_on,
        due_on=item.due_on,
        posting_id=item.posting_id,
        cause=item.cause,
        valued_on=item.valued_on,
        accounted_on=item.accounted_on,
        base_minor=item.rate.step(relieved, item.original_minor),
        base_currency=item.rate.base_currency,
        payment_reference=item.payment_reference,
    )


def discounts_of_instalments(
    discounts: list[tuple[date, int]], amounts: list[int], total_minor: int
) -> list[tuple[Discount, ...]]:
    """The discounts of a document, shared out over its instalments in proportion; never more than the instalment."""
    if not discounts or total_minor <= 0 or sum(amounts) <= 0:
        return [() for _ in amounts]
    shares = [(until_on, allocate(minor, amounts)) for until_on, minor in discounts]
    return [
        tuple(Discount(until_on, min(parts[index], amounts[index])) for until_on, parts in shares if parts[index])
        for index in range(len(amounts))
    ]
