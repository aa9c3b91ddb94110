"""Open items of the ledger: the current state, and what each version changed.

Invariant: the deltas of an item sum to its current remaining and disputed amount; a known version changes nothing.
"""

from operator import attrgetter

from services.reporting.projections.rows import ItemNow, Known, Rows
from shared.events.codec import Event
from shared.events.ledger import CashChanged, ItemState

COLUMNS = (
    "company", "item_id", "document_id", "account_id", "line", "number", "kind", "side", "currency", "cause",
    "payment_reference", "version", "original_minor", "remaining_minor", "disputed_minor", "document_on", "due_on",
    "valued_on",
)  # fmt: skip
VALUES = attrgetter(*COLUMNS)


def item(rows: Rows, known: Known, event: Event) -> None:
    data: ItemState = event.data
    now = known.items.setdefault((data.company, data.item_id), ItemNow())
    if data.version <= now.version:
        return
    relief = {name: minor for name, minor in data.relief if minor}
    accounted_on = data.accounted_on or event.envelope.business_date
    row = dict(zip(COLUMNS, VALUES(data), strict=True))
    rows.put_version("item", (data.company, data.item_id), row | {"relief": relief, "accounted_on": accounted_on})
    delta = {
        "company": data.company,
        "item_id": data.item_id,
        "version": data.version,
        "account_id": data.account_id,
        "currency": data.currency,
        "side": data.side,
        "cause": data.cause or event.type,
        "remaining_delta_minor": data.remaining_minor - now.remaining_minor,
        "disputed_delta_minor": data.disputed_minor - now.disputed_minor,
        "relief_delta": _changes(relief, now.relief),
        "posting_id": data.posting_id,
        "accounted_on": accounted_on,
        "valued_on": data.valued_on,
        "business_date": event.envelope.business_date,
        "known_at": event.envelope.known_at,
    }
    rows.put("item_posting", (data.company, data.item_id, data.version), delta)
    known.items[data.company, data.item_id] = ItemNow(data.version, data.remaining_minor, data.disputed_minor, relief)


def _changes(relief: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    changes = {name: relief.get(name, 0) - before.get(name, 0) for name in sorted({*relief, *before})}
    return {name: minor for name, minor in changes.items() if minor}


def cash(rows: Rows, event: Event) -> None:
    data: CashChanged = event.data
    names = ("company", "account_id", "currency", "version", "unapplied_minor", "on_account_minor")
    row = {name: getattr(data, name) for name in names}
    rows.put_version("cash", (data.company, data.account_id, data.currency), row)
