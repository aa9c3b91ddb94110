"""A case: everything that collections knows of one account, as it evolves over a batch, with what has changed.

Invariant: rows are changed only through `put`, so that exactly the changed rows are written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from services.collections.domain.rows import (
    Account,
    Activity,
    Application,
    Candidate,
    Cash,
    Contact,
    Dispute,
    Escalation,
    Hold,
    Item,
    Notice,
    Promise,
    Receipt,
    WorklistRow,
)

PENDING = frozenset({"requested", "sending"})
HOLD_ACTIVE = frozenset({"proposed", "ordered"})


@dataclass(slots=True)
class Case:
    """Rows of one account by their key. `changed` holds every row that was put, by table and key."""

    account: Account
    contacts: dict[str, Contact] = field(default_factory=dict)
    items: dict[UUID, Item] = field(default_factory=dict)
    cash: dict[str, Cash] = field(default_factory=dict)
    candidates: dict[UUID, Candidate] = field(default_factory=dict)
    receipts: dict[UUID, Receipt] = field(default_factory=dict)
    applications: dict[tuple[UUID, UUID], Application] = field(default_factory=dict)
    notices: dict[UUID, Notice] = field(default_factory=dict)
    promises: dict[UUID, Promise] = field(default_factory=dict)
    disputes: dict[UUID, Dispute] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    escalations: dict[UUID, Escalation] = field(default_factory=dict)
    activities: dict[UUID, Activity] = field(default_factory=dict)
    worklist: WorklistRow | None = None
    changed: dict[tuple[object, ...], object] = field(default_factory=dict)

    @property
    def company(self) -> str:
        return self.account.company

    @property
    def account_id(self) -> str:
        return self.account.account_id

    def put(self, row: object) -> None:
        """Take a new or changed row into the case and mark it to be written."""
        self.add(row)
        self.changed[type(row), *_key(row)] = row

    def add(self, row: object) -> None:
        """Take a row into the case as it stands in the store."""
        key = _key(row)
        if isinstance(row, Account):
            self.account = row
        elif isinstance(row, WorklistRow):
            self.worklist = row
        elif type(row) in _SHELF:
            shelf: dict = getattr(self, _SHELF[type(row)])
            shelf[key[0] if len(key) == 1 else key] = row

    def open_debits(self) -> list[Item]:
        """Open items that the debtor owes, oldest due date first, in a fixed order."""
        owed = [item for item in self.items.values() if item.side == "debit" and item.remaining_minor > 0]
        return sorted(owed, key=lambda item: (item.due_on, item.document_on, str(item.item_id)))

    def credit_minor(self, currency: str) -> int:
        """Money and credits of the account that are not on debit items: unapplied, on account, open credit memos."""
        cash = self.cash.get(currency)
        credits = sum(
            item.remaining_minor for item in self.items.values() if item.side == "credit" and item.currency == currency
        )
        return credits + (cash.unapplied_minor + cash.on_account_minor if cash else 0)

    def live_promises(self) -> list[Promise]:
        return [promise for promise in self.promises.values() if promise.status == "open"]

    def promised_items(self) -> set[UUID]:
        """Items that a live promise covers; a promise without items covers every open item of its currency."""
        found: set[UUID] = set()
        for promise in self.live_promises():
            found.update(map(UUID, promise.items))
            if not promise.items:
                found.update(item.item_id for item in self.items.values() if item.currency == promise.currency)
        return found

    def disputed_minor(self, item: Item, on: date) -> int:
        """Part of an item that is not to be asked for on a date: disputed, or granted as a credit not yet booked."""
        parts = (_contested(dispute, item, on) for dispute in self.disputes.values() if dispute.item_id == item.item_id)
        return min(item.remaining_minor, sum(parts))

    def active_holds(self) -> list[Hold]:
        return sorted(
            (hold for hold in self.holds.values() if hold.status in HOLD_ACTIVE), key=lambda hold: str(hold.hold_id)
        )

    def pending_notices(self, on: date) -> list[Notice]:
        """Notices without an answer that counts on `on`: answers count one business day late."""
        return [
            notice
            for notice in self.notices.values()
            if notice.status in PENDING or (notice.answered_on is not None and notice.answered_on >= on)
        ]

    def open_steps(self) -> list[Activity]:
        """Next steps that no later activity has done, by date."""
        steps = [
            activity
            for activity in self.activities.values()
            if activity.next_on is not None and not activity.superseded and not activity.followed
        ]
        return sorted(steps, key=lambda activity: (activity.next_on, str(activity.activity_id)))


_SHELF: dict[type, str] = {
    Contact: "contacts",
    Item: "items",
    Cash: "cash",
    Candidate: "candidates",
    Receipt: "receipts",
    Application: "applications",
    Notice: "notices",
    Promise: "promises",
    Dispute: "disputes",
    Hold: "holds",
    Escalation: "escalations",
    Activity: "activities",
}


def _key(row: object) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in type(row).KEY)


def _contested(dispute: Dispute, item: Item, on: date) -> int:
    if dispute.status == "open":
        return dispute.disputed_minor
    if dispute.expected_until_on is None or on > dispute.expected_until_on:
        return 0
    booked = max(0, item.credit_relief_minor - dispute.credit_relief_before_minor)
    return max(0, dispute.credited_minor - booked)


def changed_rows(cases: Iterable[Case]) -> dict[type, list[object]]:
    """All changed rows of the cases by their class, in a fixed order of keys."""
    found: dict[type, list[object]] = {}
    for case in sorted(cases, key=lambda c: (c.company, c.account_id)):
        for (kind, *_), row in sorted(case.changed.items(), key=lambda entry: (entry[0][0].TABLE, str(entry[0][1:]))):
            found.setdefault(kind, []).append(row)
    return found
