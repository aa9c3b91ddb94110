"""Every event type with its model, topic, publisher and key. The one list that codec, docs and tests read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from shared.events import accounts, collections, control, feeds, invoices, ledger, markers, notifications, payments
from shared.events.facts import Fact

CONTROL, ACCOUNTS, INVOICES, PAYMENTS = "ar.control", "ar.accounts", "ar.invoices", "ar.payments"
LEDGER, COLLECTIONS, NOTIFICATIONS = "ar.ledger", "ar.collections", "ar.notifications"
FEEDS_INBOUND, FEEDS_RECEIPTS = "feeds.inbound", "feeds.receipts"
PARTITIONS = 12
EVENT_BYTES_MAX = 900_000
"""Bytes of a payload; a larger one is poison of the input that caused it."""
KeyRule = Literal["company", "account", "payment", "own"]

TOPICS_OF = {
    "ingest": (ACCOUNTS, INVOICES, PAYMENTS, CONTROL),
    "cash_application": (LEDGER,),
    "collections": (COLLECTIONS,),
    "notifications": (NOTIFICATIONS,),
    "reporting": (),
}
"""Topics into which a service writes its markers; the first in the list of a service is its own."""

UPSTREAM = {
    "ingest": (),
    "cash_application": (CONTROL, ACCOUNTS, INVOICES, PAYMENTS),
    "collections": (ACCOUNTS, LEDGER),
    "notifications": (ACCOUNTS, LEDGER, COLLECTIONS),
    "reporting": (CONTROL, ACCOUNTS, INVOICES, PAYMENTS, LEDGER, COLLECTIONS, NOTIFICATIONS),
}
"""Topics whose markers a service waits for; return edges are read but hold no marker back."""

READS = {
    "ingest": (),
    "cash_application": (CONTROL, ACCOUNTS, INVOICES, PAYMENTS, COLLECTIONS),
    "collections": (CONTROL, ACCOUNTS, LEDGER, NOTIFICATIONS),
    "notifications": (CONTROL, ACCOUNTS, LEDGER, COLLECTIONS),
    "reporting": (CONTROL, ACCOUNTS, INVOICES, PAYMENTS, LEDGER, COLLECTIONS, NOTIFICATIONS),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """`key` says what the Kafka key is: the company, company/account, company/payment id, or company/~own id."""

    model: type[BaseModel]
    topic: str
    publisher: str
    key: KeyRule
    status: Literal["draft", "stable"] = "draft"


BANK_LINES = ("payment.received", "payment.announced", "payment.returned", "bank_debit.received")


def _entries() -> Iterator[tuple[str, Entry]]:
    groups = (
        (control, CONTROL, "ingest", "company"),
        (accounts, ACCOUNTS, "ingest", "account"),
        (invoices, INVOICES, "ingest", "account"),
        (payments, PAYMENTS, "ingest", "own"),
        (ledger, LEDGER, "cash_application", "account"),
        (collections, COLLECTIONS, "collections", "account"),
        (notifications, NOTIFICATIONS, "notifications", "account"),
        (feeds, FEEDS_RECEIPTS, "ingest", "own"),
    )
    for module, topic, publisher, key in groups:
        for model in vars(module).values():
            if (
                isinstance(model, type)
                and issubclass(model, Fact)
                and model.TYPE
                and model.__module__ == module.__name__
            ):
                yield model.TYPE, Entry(model, topic, publisher, "payment" if model.TYPE in BANK_LINES else key)


EVENTS: dict[str, Entry] = dict(_entries())
MARKERS: dict[str, type[markers.Marker]] = {
    markers.ClockTicked.TYPE: markers.ClockTicked,
    markers.DayClosed.TYPE: markers.DayClosed,
}


def key_of(company: str, account_id: str | None = None, own: object = None) -> str:
    """Kafka key: `company/account`, else `company/~own`, else `company`."""
    if account_id:
        return f"{company}/{account_id}"
    return f"{company}/~{own}" if own is not None else company
