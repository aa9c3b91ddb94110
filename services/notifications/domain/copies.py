"""Facts of the topics become rows of our copies. Within a batch the highest version, or the last word, stays.

Invariant: a promise covers from `promise.made` until it is judged or replaced, a plan while it is agreed, a dispute
while it is open; a cash candidate stands until it is cleared.
"""

from datetime import date

from services.notifications.domain.rows import CandidateRow, CoverRow, Rows
from shared.events.accounts import AccountState, ContactUpdated
from shared.events.collections import DisputeState, PlanAgreed, PlanState, PromiseMade, PromiseState
from shared.events.facts import Fact
from shared.events.ledger import CashCandidate, CashCandidateCleared, CashChanged, ItemState

COPIED = (
    AccountState, ContactUpdated, ItemState, CashChanged, CashCandidate, CashCandidateCleared, PromiseState, PlanState,
    DisputeState,
)  # fmt: skip


def copy_fact(rows: Rows, data: Fact, on: date) -> None:
    """Note one fact; `on` is its business date, from which a candidate without a date of its own counts."""
    match data:
        case AccountState():
            rows.accounts[data.company, data.account_id] = data
        case ContactUpdated():
            rows.contacts[data.company, data.account_id, data.contact_id] = data
        case ItemState():
            known = rows.items.get((data.company, data.item_id))
            if known is None or known.version < data.version:
                rows.items[data.company, data.item_id] = data
        case CashChanged():
            known = rows.balances.get((data.company, data.account_id, data.currency))
            if known is None or known.version < data.version:
                rows.balances[data.company, data.account_id, data.currency] = data
        case CashCandidate():
            rows.candidates[data.company, data.candidate_id] = CandidateRow(data, data.since_on or on)
            rows.cleared.discard((data.company, data.candidate_id, data.account_id))
        case CashCandidateCleared():
            _clear(rows, data)
        case PromiseState() | PlanState() | DisputeState():
            _cover(rows, cover_of(data))


def _clear(rows: Rows, data: CashCandidateCleared) -> None:
    row = rows.candidates.get((data.company, data.candidate_id))
    if row is not None and row.data.account_id == data.account_id:
        row.live = False
    elif row is None:
        rows.cleared.add((data.company, data.candidate_id, data.account_id))


def _cover(rows: Rows, row: CoverRow) -> None:
    key = (row.company, row.kind, row.cover_id)
    known = rows.covers.get(key)
    if known is None or known.version <= row.version:
        rows.covers[key] = row


def cover_of(data: PromiseState | PlanState | DisputeState) -> CoverRow:
    """The cover that a process gives to items, live or not."""
    if isinstance(data, DisputeState):
        disputed = data.disputed_minor if data.status == "open" else 0
        return CoverRow(
            data.company, "dispute", data.dispute_id, data.account_id, data.version, data.status == "open",
            (data.item_id,), data.currency, disputed,
        )  # fmt: skip
    items = tuple(data.items)
    if isinstance(data, PromiseState):
        live = isinstance(data, PromiseMade)
        return CoverRow(
            data.company, "promise", data.promise_id, data.account_id, data.version, live, items, data.currency
        )
    live = isinstance(data, PlanAgreed)
    return CoverRow(data.company, "plan", data.plan_id, data.account_id, data.version, live, items, data.currency)
