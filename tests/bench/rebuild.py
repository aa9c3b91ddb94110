"""A rebuild of reporting's aging from the ledger: records per second through decode, fold, inbox, rows and cursors.

The live store stands at the end of the log without having read it, so that only the rebuild itself is measured; that
both are equal is what tests/store/rebuild holds.
"""

import os
import time
from datetime import date, timedelta
from typing import Any

from services.reporting.handlers import ReportingHandler
from services.reporting.store.rebuilt import COMPARED
from shared.bus.kafka_log import KafkaReader
from shared.events.catalogue import CONTROL, LEDGER
from shared.runtime.rebuild import Projection, Rebuild
from shared.runtime.rebuild_command import collect_less_often
from tests.bench.figures import Row, judged, plain
from tests.bench.load import COMPANY
from tests.bench.usage import cpu_s
from tests.bench.world import Bench, pool_of
from tests.builders import event
from tests.store.reporting.world import MONDAY, World

ITEMS, ACCOUNTS = 60_000, 2_000
DUE_ON = date(2026, 4, 1)
TARGET_PER_S = 30_000
PROCESSES = 2


def facts() -> list[Any]:
    """Every item is opened, and three of four are paid in part or whole."""
    world = World(None)  # type: ignore[arg-type]
    made = []
    for n in range(ITEMS):
        common: dict[str, Any] = {"due_on": DUE_ON + timedelta(days=n % 90), "account_id": f"C-{n % ACCOUNTS}"}
        made.append(event(world.item(f"R-{n}", 10_000 + n, **common), on=MONDAY))
    for n in range(ITEMS):
        common = {"due_on": DUE_ON + timedelta(days=n % 90), "account_id": f"C-{n % ACCOUNTS}"}
        if n % 4:
            made.append(event(world.item(f"R-{n}", 10_000 + n, remaining=0 if n % 2 else 4_000, **common), on=MONDAY))
    return made


def rows(found: dict[str, Any]) -> list[Row]:
    processor = [found["reader_cpu_us_per_record"], found["postgres_cpu_us_per_record"]]
    return [
        judged("rebuild of the aging from the ledger, records/s", found["per_s"], "at least", TARGET_PER_S),
        plain("processor time per record, reader / PostgreSQL", processor, "us"),
        plain("seconds for which the service waited", found["held_s"], "s"),
    ]


async def run(bench: Bench) -> dict[str, Any]:
    dsn = await bench.database("reporting")
    await bench.feed([event(COMPANY)])
    await bench.feed(facts())
    pool = await pool_of(dsn)
    ends = await bench.ends([CONTROL, LEDGER])
    async with pool.acquire() as db:
        rows = [(p.topic, p.partition, end) for p, end in ends.items()]
        await db.copy_records_to_table("kafka_cursor", records=rows, columns=("topic", "partition", "next_offset"))
        await db.execute("insert into company_config values ($1, $2)", "acme", COMPANY.model_dump(mode="json"))
    await pool.close()
    aging = Projection(topics=(CONTROL, LEDGER), compared=COMPARED)
    reader = KafkaReader(bench.bootstrap, "bench-rebuild")
    work = Rebuild("reporting", ReportingHandler(), aging, dsn, reader, accept_differences=True)
    work.processes, work.bootstrap = PROCESSES, bench.bootstrap
    collect_less_often()
    postgres, began, processor = cpu_s(bench.postgres_pid), time.monotonic(), sum(os.times()[:4])
    report = await work.run()
    return {
        "records": report.records,
        "per_s": report.per_s,
        "seconds": round(time.monotonic() - began, 2),
        "held_s": round(report.held_s, 2),
        "rows": sum(report.rows.values()),
        "reader_cpu_us_per_record": round((sum(os.times()[:4]) - processor) * 1e6 / report.records, 1),
        "postgres_cpu_us_per_record": round((cpu_s(bench.postgres_pid) - postgres) * 1e6 / report.records, 1),
    }
