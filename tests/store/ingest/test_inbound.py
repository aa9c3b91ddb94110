"""Feeds that speak Kafka, on the memory bus: proof, rights, keys, own position, answers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.ingest import inbound, intake
from services.ingest.domain.inbound import FeedRights, sign
from shared.bus.memory import MemoryLog, MemorySource
from shared.bus.port import Outgoing
from shared.events.catalogue import FEEDS_INBOUND
from shared.tracing import trace_id
from tests.domain.shared.caller_samples import COMPANY
from tests.store.ingest.conftest import Door, MakeDoor

SECRET = "s" * 40
FEEDS = {"erp": FeedRights(SECRET, frozenset({COMPANY}), frozenset({"customer", "invoice"}))}
CUSTOMER = {"company": COMPANY, "account_id": "C-1", "name": "A", "country": "DE", "currency": "EUR"}


class Feed:
    """A foreign producer on a memory log."""

    def __init__(self) -> None:
        self.log = MemoryLog([FEEDS_INBOUND], 1)

    def put(self, body: Any, key: str = "message-1", kind: str = "customer", **changes: str) -> None:
        value = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {
            "feed": "erp",
            "record_type": kind,
            "idempotency_key": key,
            "signature": sign(SECRET, "erp", kind, key, value),
        } | changes
        self.log.append(Outgoing(FEEDS_INBOUND, b"k", [(n, v.encode()) for n, v in headers.items()], value))


async def consume(door: Door, feed: Feed, feeds: Mapping[str, FeedRights] = FEEDS) -> list[tuple[str, str, str]]:
    """Take what is there from our own position on, decide it, and show the receipts so far."""
    source = MemorySource(feed.log, "ingest-feeds", [FEEDS_INBOUND])

    async def load(partitions: Any) -> Any:
        return await inbound.load_positions(door.runtime, partitions)

    await source.start(load)
    while found := await source.fetch(500, 0):
        assert await inbound.take(door.runtime, found, feeds)
    await source.stop()
    await intake.write_all(door.runtime)
    return [(r.idempotency_key, r.outcome, r.code) for r in await door.facts("feed.receipt")]


@pytest.fixture
def feed() -> Feed:
    return Feed()


async def test_a_signed_record_becomes_a_fact_and_is_answered_with_its_outcome(door: Door, feed: Feed) -> None:
    feed.put(CUSTOMER)
    assert await consume(door, feed) == [("message-1", "written", "")]
    event = (await door.events("account.registered"))[0]
    assert event.envelope.actor == "feed:erp"
    receipt = (await door.events("feed.receipt"))[0]
    assert (receipt.topic, receipt.key) == ("feeds.receipts", "erp")


async def test_a_held_back_record_is_answered_with_field_and_reason(door: Door, feed: Feed) -> None:
    feed.put({"company": COMPANY, "account_id": "C-9", "source_system": "erp"}, kind="invoice")
    receipts = await consume(door, feed)
    assert receipts == [("message-1", "quarantined", "missing")]


async def test_each_message_of_a_batch_carries_its_own_trace_into_its_events_and_its_answer(
    door: Door, feed: Feed
) -> None:
    traces = [f"{n:032x}" for n in (10, 11, 12)]
    headers = [f"00-{trace}-00f067aa0ba902b7-01" for trace in traces]
    feed.put(CUSTOMER, "message-1", traceparent=headers[0])
    feed.put(CUSTOMER | {"account_id": "C-2"}, "message-2", traceparent=headers[1])
    feed.put(b"not json", "message-3", traceparent=headers[2])
    feed.put(CUSTOMER | {"account_id": "C-4"}, "message-4", traceparent="00-not-a-trace")
    await consume(door, feed)
    registered = await door.events("account.registered")
    found = {e.data.account_id: trace_id(e.envelope.traceparent) for e in registered}
    assert (found["C-1"], found["C-2"]) == (traces[0], traces[1])
    submission_id = registered[-1].envelope.correlation_id
    assert found["C-4"] == submission_id.hex, "what is malformed begins a trace of its own"
    receipts = {e.data.idempotency_key: e.envelope.traceparent for e in await door.events("feed.receipt")}
    assert [trace_id(receipts[f"message-{n}"]) for n in (1, 2, 3)] == traces


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signature": "0" * 64}, "signature_wrong"),
        ({"feed": "other"}, "signature_wrong"),
        ({"record_type": "invoice"}, "signature_wrong"),
        ({"idempotency_key": "another-key"}, "signature_wrong"),
        ({"signature": ""}, "header_missing"),
    ],
)
async def test_a_header_alone_proves_nothing(door: Door, feed: Feed, changes: dict[str, str], code: str) -> None:
    feed.put(CUSTOMER, **changes)
    assert [(outcome, found) for _, outcome, found in await consume(door, feed)] == [("refused", code)]
    assert await door.facts("account.registered") == []


async def test_a_feed_writes_only_its_companies_and_types(door: Door, feed: Feed) -> None:
    feed.put(CUSTOMER | {"company": "acme"}, "message-1")
    feed.put(CUSTOMER, "message-2", kind="payment")
    feed.put(b"not json", "message-3")
    feed.put(CUSTOMER | {"record_type": "invoice"}, "message-4")
    codes = [code for _, _, code in await consume(door, feed)]
    assert codes == ["not_permitted", "not_permitted", "json_not_valid", "record_type_differs"]


async def test_one_key_is_one_record_and_another_value_under_it_is_refused(door: Door, feed: Feed) -> None:
    feed.put(CUSTOMER)
    feed.put(CUSTOMER)
    feed.put(CUSTOMER | {"name": "B"})
    await consume(door, feed)
    feed.put(CUSTOMER)
    outcomes = sorted(outcome for _, outcome, _ in await consume(door, feed))
    assert outcomes == ["known", "known", "refused", "written"]
    assert len(await door.facts("account.registered", "account.updated")) == 1


async def test_the_position_is_ours_and_moves_with_the_records(door: Door, feed: Feed) -> None:
    feed.put(CUSTOMER)
    await consume(door, feed)
    rows = await door.fetch("select topic, partition, next_offset from feed_position")
    assert [tuple(row) for row in rows] == [(FEEDS_INBOUND, 0, 1)]
    records = {lane: found for lane, found in feed.log.records.items() if found}
    assert not await inbound.take(door.runtime, records, FEEDS), "a batch behind the position is stale"
    assert len(await door.facts("account.registered")) == 1


async def test_records_of_a_company_that_is_not_configured_are_refused(make_door: MakeDoor, feed: Feed) -> None:
    door = await make_door()
    await door.tick()
    feed.put(CUSTOMER)
    assert await consume(door, feed) == [("message-1", "refused", "company_unknown")]


async def test_rights_come_from_the_secrets_file(tmp_path: Path) -> None:
    from services.ingest.feeds import feeds_of
    from shared.errors import Transient

    path = tmp_path / "feeds.json"
    path.write_text(json.dumps({"erp": {"secret": SECRET, "companies": ["a"], "record_types": ["*"]}}))
    assert feeds_of(path, None)["erp"].may_write("a", "invoice")
    path.write_text('{"erp": "short"}')
    with pytest.raises(Transient, match="less than 32"):
        feeds_of(path, None)
