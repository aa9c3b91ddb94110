"""What became of each payment by the end of the log: what stands, what was taken back, what was suggested. Pure.

Invariant: nothing that was ever posted is forgotten; what was taken back stays to be judged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared.events.codec import Event
from shared.events.ledger import (
    PaymentApplied,
    PaymentSuggested,
    PaymentUnapplied,
    SuggestionWithdrawn,
)
from shared.events.payments import PaymentReceived


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
