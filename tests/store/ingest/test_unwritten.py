"""Ticks know of everything accepted that is not written yet: no account reaches a day that it could change."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.ingest import clockwork, inbound
from services.ingest.domain.inbound import FeedRights
from shared.bus.memory import MemorySource
from shared.events.catalogue import FEEDS_INBOUND
from tests.fixtures.ingest.files import CUSTOMERS, Line, camt, documents, invoice, statement
from tests.store.ingest.conftest import START, Door
from tests.store.ingest.test_inbound import SECRET, Feed

CREDIT = {"document_type": "credit_memo", "due_on": ""}
PAYMENT = {"source_payment_id": "p1", "amount": "10.00", "currency": "EUR", "bank_account": "GW-1"}
FEEDS = {"erp": FeedRights(SECRET, frozenset({"vdr-eu"}), frozenset({"*"}))}


@pytest.fixture
async def reaching(door: Door) -> Door:
    """Bank data of both accounts reach Monday, 5 January; the clock stands at Tuesday."""
    await door.sent(CUSTOMERS)
    await door.sent(camt(statement("0.00", [Line("10.00", "A")], number="1")))
    reach = {"record_type": "bank_reach", "bank_account": "GW-1", "complete_through_on": "2026-01-05"}
    await door.post("/records", {"records": [reach]}, who="feed", wait="true")
    await door.tick(START + timedelta(days=1))
    return door


async def reaches(door: Door) -> dict[str, date | None]:
    """What a tick says that is written between two chunks."""
    await clockwork.tick(door.runtime, START + timedelta(days=1, hours=1))
    return (await door.facts("clock.ticked"))[-1].companies["vdr-eu"].bank_accounts


async def put(door: Door, kind: str, body: dict[str, Any]) -> None:
    """Take a message of a feed, and leave its record unwritten."""
    feed = Feed()
    feed.put({"company": "vdr-eu"} | body, kind=kind)
    source = MemorySource(feed.log, "ingest-feeds", [FEEDS_INBOUND])

    async def load(partitions: Any) -> Any:
        return await inbound.load_positions(door.runtime, partitions)

    await source.start(load)
    assert await inbound.take(door.runtime, await source.fetch(500, 0), FEEDS)
    await source.stop()


async def test_nothing_unwritten_leaves_the_reach_as_it_is(reaching: Door) -> None:
    assert set((await reaches(reaching)).values()) == {date(2026, 1, 5)}


async def test_an_accepted_credit_memo_takes_the_reach_behind_the_last_banking_day(reaching: Door) -> None:
    await reaching.send(documents(invoice("1", **CREDIT)), wait=False)
    assert set((await reaches(reaching)).values()) == {date(2026, 1, 4)}
    await reaching.tick(START + timedelta(days=1, hours=2))
    written = (await reaching.facts("clock.ticked"))[-1].companies["vdr-eu"].bank_accounts
    assert set(written.values()) == {date(2026, 1, 5)}


async def test_accepted_payments_take_the_reach_behind_their_first_day(reaching: Door) -> None:
    payments = [PAYMENT | {"document_on": "2026-01-05"}, PAYMENT | {"source_payment_id": "p2", "document_on": 7}]
    payments.append(PAYMENT | {"source_payment_id": "p3", "document_on": "2025-12-30"})
    await reaching.post("/payments", {"payments": payments}, who="feed")
    assert set((await reaches(reaching)).values()) == {date(2025, 12, 29)}


async def test_an_accepted_message_of_a_feed_takes_the_reach_back(reaching: Door) -> None:
    await put(reaching, "customer", {"account_id": "C-1", "name": "A", "country": "DE", "currency": "EUR"})
    assert set((await reaches(reaching)).values()) == {date(2026, 1, 4)}


async def test_an_accepted_payment_of_a_feed_takes_the_reach_behind_its_day(reaching: Door) -> None:
    await put(reaching, "payment", PAYMENT | {"document_on": "2025-12-30"})
    assert set((await reaches(reaching)).values()) == {date(2025, 12, 29)}


async def test_a_day_before_all_days_does_not_stop_the_clock(reaching: Door) -> None:
    payment = PAYMENT | {"document_on": "0001-01-01"}
    await reaching.post("/payments", {"payments": [payment]}, who="feed")
    assert set((await reaches(reaching)).values()) == {date.min}
