"""A foreign document that came before its first rate is parked, and run again by itself when the rate is there."""

import asyncio
from datetime import UTC, date, datetime, time
from types import SimpleNamespace

from services.cash_application import rate_watch
from services.cash_application.rate_watch import look_once, redrive_when_rates_come
from shared.bus.port import Partition, Record
from shared.events.control import RatePublished
from shared.logs import configure
from shared.runtime.control import save_control
from shared.runtime.transaction import read, take_with_care
from tests.builders import event, headers_and_value
from tests.scenario.cash_application.desk import ACME, CONFIG, DAY, Desk, customer, invoice


def runtime(desk: Desk) -> SimpleNamespace:
    log = configure("cash_application", "ERROR")
    return SimpleNamespace(pool=desk.pool, unit=desk.unit, log=log, relay_wanted=asyncio.Event(), failing={})


async def test_what_was_parked_for_want_of_a_rate_is_run_when_one_comes(desk: Desk):
    async with desk.pool.acquire() as db, db.transaction():
        await save_control(db, [event(CONFIG)])
    await desk.feed(customer())
    await desk.rows("insert into kafka_cursor (topic, partition, next_offset) values ('ar.invoices', 3, 0)")
    lane = Partition("ar.invoices", 3)
    made = event(invoice("INV-2026-00017", 5_000, currency="GBP"), known_at=datetime.combine(DAY, time(9), tzinfo=UTC))
    records = {lane: [Record(lane, 0, *headers_and_value(made).values())]}
    outcome = await take_with_care(desk.pool, desk.unit, read(records, "cash_application"))
    assert (outcome.parked, outcome.facts) == (1, 0)
    assert [row["code"] for row in await desk.rows("select code from parked_key")] == ["rate_missing"]
    await desk.rows("insert into parked_key (key, company, error) values ('acme/x', 'acme', 'no rate in its text')")
    running = runtime(desk)
    seen = await look_once(running, -1)
    assert len(await desk.rows("select * from parked_key where code = 'rate_missing'")) == 1, (
        "no rate came, so it stays parked"
    )
    rate = RatePublished(company=ACME, pair="EUR/GBP", rate="0.85", on=date(2026, 1, 2))
    async with desk.pool.acquire() as db, db.transaction():
        await save_control(db, [event(rate)])
    await look_once(running, seen)
    assert [row["key"] for row in await desk.rows("select key from parked_key")] == ["acme/x"], "not for want of a rate"
    assert (await desk.item("INV-2026-00017"))["rate_id"] == "EUR/GBP@2026-01-04=0.85"


async def test_a_database_that_is_away_is_waited_for(desk: Desk, monkeypatch):
    running, stop, looks = runtime(desk), asyncio.Event(), []

    async def look(*_: object) -> int:
        looks.append(dict(running.failing))
        if len(looks) == 1:
            raise ConnectionRefusedError("the database is away")
        stop.set()
        return 0

    monkeypatch.setattr(rate_watch, "look_once", look)
    await asyncio.wait_for(redrive_when_rates_come(running, stop), 5)
    assert [list(failing) for failing in looks] == [[], ["rate_watch"]]
    assert running.failing == {}
