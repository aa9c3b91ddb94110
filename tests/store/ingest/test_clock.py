"""Markers: what they carry, that they stand behind everything taken in before, and the live clock."""

from datetime import UTC, date, datetime, timedelta

from services.ingest import clockwork
from shared.events.catalogue import PARTITIONS, TOPICS_OF
from shared.runtime.outbox import unpack
from tests.fixtures.ingest.files import CUSTOMERS, Line, camt, documents, invoice, statement
from tests.store.ingest.conftest import START, Door, MakeDoor


async def test_a_tick_goes_into_every_partition_of_every_topic_with_one_number(door: Door) -> None:
    await door.tick(START + timedelta(hours=1))
    ticks = [e for e in await door.events("clock.ticked") if e.data.number == 2]
    assert {(e.topic, e.key) for e in ticks} == {(t, str(p)) for t in TOPICS_OF["ingest"] for p in range(PARTITIONS)}
    assert len({e.envelope.id for e in ticks}) == len(ticks) == 4 * PARTITIONS


async def test_a_tick_tells_how_far_bank_data_reach_and_what_is_parked(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A")], number="1")))
    await door.sent(camt(statement("90.00", [Line("10.00", "A")], number="7", closing="91.00")))
    await door.sent(documents(invoice("1")))
    await door.tick(START + timedelta(hours=1))
    reach = (await door.facts("clock.ticked"))[-1].companies["vdr-eu"]
    assert reach.bank_accounts == {"EUR-1": date(2026, 1, 5), "GW-1": None}
    assert [(p.kind, p.account_id, p.amount_minor) for p in reach.parked] == [
        ("invoice", "C-1001", 119_000),
        ("statement", None, None),
    ]


async def test_more_than_a_hundred_parked_things_are_said_to_be_more(door: Door) -> None:
    await door.sent(documents(*(invoice(str(n)) for n in range(101))))
    await door.tick(START + timedelta(hours=1))
    reach = (await door.facts("clock.ticked"))[-1].companies["vdr-eu"]
    assert len(reach.parked) == 100 and reach.parked_more


async def test_the_clock_does_not_go_back_and_the_same_instant_is_one_tick(door: Door) -> None:
    at = START + timedelta(hours=1)
    assert (await door.tick(at)).json() == {"number": 2}
    assert (await door.tick(at)).json() == {"number": 2}
    assert (await door.tick(START)).status_code == 409


async def test_a_day_is_closed_once_and_facts_behind_it_are_of_the_next_day(door: Door) -> None:
    await door.sent(CUSTOMERS)
    assert (await door.close("2026-01-06")).json()["code"] == "day_not_over"
    assert (await door.close("2026-01-05")).json() == {"number": 2}
    assert (await door.close("2026-01-05")).json() == {"number": None}
    assert (await door.close("2026-01-04")).status_code == 409
    await door.sent(documents(invoice("1")))
    days = {e.type: e.envelope.business_date for e in await door.events() if e.type != "company.configured"}
    assert days == {"account.registered": date(2026, 1, 5), "invoice.issued": date(2026, 1, 6)}


async def test_a_marker_stands_behind_all_that_was_accepted_before_it(door: Door) -> None:
    await door.send(CUSTOMERS, wait=False)
    await door.send(documents(invoice("1")), wait=False)
    await door.close("2026-01-05")
    rows = await door.fetch("select key, headers from outbox order by id")
    kinds = [dict(unpack(row["headers"]))["ce_type"].decode() for row in rows]
    assert kinds.index("day.closed") > max(i for i, kind in enumerate(kinds) if kind == "invoice.issued")


async def test_an_accepted_bank_file_with_records_left_takes_the_reach_back(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A")], number="1")))
    assert (await door.send(camt(statement("10.00", [Line("1.00", "B")], number="2")), wait=False)).status_code == 202
    await clockwork.tick(door.runtime, START + timedelta(hours=1))
    await door.tick(START + timedelta(hours=2))
    reaches = {
        e.number: e.companies["vdr-eu"].bank_accounts["EUR-1"] for e in await door.facts("clock.ticked") if e.companies
    }
    assert reaches[2] == date(2026, 1, 4) and reaches[3] == date(2026, 1, 5)


class SteppedClock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


async def test_the_live_clock_ticks_and_closes_business_days_by_itself(make_door: MakeDoor) -> None:
    door = await make_door(clock="live")
    clock = SteppedClock(datetime(2026, 1, 9, 16, 59, tzinfo=UTC))
    door.runtime.clock = clock
    assert await clockwork.live_once(door.runtime) == 0
    await door.configure()
    assert await clockwork.live_once(door.runtime) == 1
    assert await clockwork.live_once(door.runtime) == 0
    clock.at += timedelta(seconds=70)
    assert await clockwork.live_once(door.runtime) == 2
    clock.at = datetime(2026, 1, 13, 17, 1, tzinfo=UTC)
    assert await clockwork.live_once(door.runtime) == 3
    closed = {e.data.date for e in await door.events("day.closed")}
    assert closed == {date(2026, 1, 9), date(2026, 1, 12), date(2026, 1, 13)}
    assert (await door.tick()).json()["code"] == "clock_is_live"
