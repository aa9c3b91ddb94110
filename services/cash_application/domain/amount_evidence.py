"""Exact amounts as evidence: which accounts owe exactly what waits, whichever of the two was known first.

Invariant: after every transaction a candidate stands for each account that owes, in one item, the waiting rest of a
payment, while at most `ACCOUNTS_MAX` accounts do; one that stands by its amount alone stands only then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID
from zlib import crc32

from services.cash_application.domain.books import AmountKey, Books, Told, amounts_of
from services.cash_application.domain.candidates import candidate_fact, cleared_fact
from services.cash_application.domain.rows import Candidate
from shared.ids import derive

ACCOUNTS_MAX = 20
"""More accounts than this for one amount, and the amount alone tells nobody from anybody."""
LOCKS = 2_048
"""Amounts share this many locks, so that no batch takes more."""
ALONE = ("exact_amount",)


@dataclass(frozen=True, slots=True)
class WaitingCash:
    """Cash of which `open_minor` (above 0) wait: a payment on which no person decided, or cash that is not booked,
    known since `since_on`."""

    company: str
    origin_id: UUID
    currency: str
    open_minor: int
    source: str
    payment_id: UUID | None
    group_id: str = ""
    since_on: date | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """An open candidate of a payment. `discounted`: the account owes the amount after a discount."""

    row: Candidate
    discounted: bool = False


def amount_locks(books: Books) -> list[tuple[int, bool]]:
    """(lock, exclusive) in order: shared for what items now owe, exclusive for what payments had and have waiting.

    Of an item and a payment that are written at once, one transaction then sees the other's rows.
    """
    found: dict[int, bool] = {}
    for item in books.written.items.values():
        for key in amounts_of(item):
            found.setdefault(_lock(key), False)
    for receipt in books.written.receipts.values():
        for minor in {receipt.open_minor, books.open_before.get(receipt.payment_id, 0)} - {0}:
            found[_lock((receipt.company, receipt.currency, minor))] = True
    for cash in (*books.written.unbooked.values(), *books.written.unbooked_gone.values()):
        found[_lock(cash.amount)] = True
    return sorted(found.items())


def _lock(key: AmountKey) -> int:
    return crc32("/".join(map(str, key)).encode()) % LOCKS


def no_longer_waiting(books: Books) -> list[tuple[str, UUID]]:
    """Origins of cash that waited before the batch and does not any more."""
    gone = [(cash.company, cash.origin_id) for cash in books.written.unbooked_gone.values()]
    return gone + [
        (receipt.company, receipt.payment_id)
        for receipt in books.written.receipts.values()
        if not receipt.open_minor and books.open_before.get(receipt.payment_id)
    ]


@dataclass(slots=True)
class Connected:
    """Candidate rows that change, what to tell of them, and candidates of which nothing else of the batch is told."""

    rows: list[Candidate] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    retold: set[UUID] = field(default_factory=set)


def connect_by_amount(
    books: Books,
    waiting: Iterable[WaitingCash],
    fitting: Mapping[AmountKey, Sequence[str]],
    standing: Iterable[Standing],
) -> Connected:
    """Raise and clear candidates by exact amount, each told by the input that last moved the amount.

    `fitting`: accounts that owe the amount in one item, at most `ACCOUNTS_MAX` + 1. `standing`: all open candidates of
    the waiting cash, and of what no longer waits.
    """
    rows: dict[UUID, dict[str, Standing]] = {}
    for found in standing:
        rows.setdefault(found.row.origin_id, {})[found.row.account_id] = found
    connected = Connected()
    for cash in sorted(waiting, key=lambda c: c.origin_id):
        key = (cash.company, cash.currency, cash.open_minor)
        fit = fitting.get(key, ())
        wanted = frozenset(fit) if len(fit) <= ACCOUNTS_MAX else frozenset()
        mine = rows.pop(cash.origin_id, {})
        for account_id in sorted(wanted - mine.keys()):
            _raise(books, connected, books.amounts[key], cash, account_id)
        for account_id in sorted(mine.keys() - wanted):
            if mine[account_id].row.evidence == ALONE and not mine[account_id].discounted:
                _clear(books, connected, books.amounts[key], mine[account_id].row)
    for leftover in rows.values():
        for found in leftover.values():
            _clear(books, connected, max(books.causes), found.row)
    connected.rows.sort(key=lambda row: row.candidate_id)
    return connected


def _raise(books: Books, connected: Connected, number: int, cash: WaitingCash, account_id: str) -> None:
    """One that stood before the batch and was only cleared within it stands on, and nothing is told."""
    candidate_id = derive("candidate", cash.company, cash.origin_id, account_id)
    before = books.candidates_before.get(candidate_id)
    stood = before is not None and before.open
    row = Candidate(
        candidate_id,
        cash.company,
        cash.origin_id,
        cash.group_id,
        account_id,
        cash.payment_id,
        cash.open_minor,
        cash.currency,
        ALONE,
        cash.source,
        before.since_on if stood else cash.since_on or books.causes[number].business_date,
    )
    connected.rows.append(row)
    connected.retold.add(candidate_id)
    if row != before:
        connected.told.append(Told(number, candidate_fact(row), str(candidate_id)))


def _clear(books: Books, connected: Connected, number: int, row: Candidate) -> None:
    """One that was only raised within the batch was never there."""
    before = books.candidates_before.get(row.candidate_id, row)
    connected.rows.append(replace(row, open=False))
    connected.retold.add(row.candidate_id)
    if before is not None and before.open:
        connected.told.append(Told(number, cleared_fact(row), str(row.candidate_id)))
