"""What an event costs in a store that has grown: cash application by its open items, the simplest handler by its inbox.

Two stores, one small and one large, take the same batches in turn: what disturbs the machine disturbs both.
"""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import asyncpg

from services.cash_application.handlers import CashApplicationHandler
from shared.db.pool import CONNECT_TIMEOUT_S, prepare
from shared.events.codec import Event
from tests.bench import cash
from tests.bench.figures import Row, interleaved_ratio, judged, plain
from tests.bench.filling import replicate, uuid_of
from tests.bench.inside import Inside
from tests.bench.load import configuration
from tests.bench.world import Bench, pool_of
from tests.builders import event
from tests.store.runtime.toy import ToyHandler, contact

OPEN_ITEMS, INBOX_ROWS = (10_000, 1_000_000), (1_000, 1_000_000)
ITEMS_PER_ACCOUNT = 20
WARM_PASSES, PASSES, BATCH = 2, 10, 500
RATIO_MAX = 1.3
ONE_ENTRY = "posting_id = (select posting_id from journal_line limit 1)"
SESSION = {"synchronous_commit": "off", "maintenance_work_mem": "512MB", "work_mem": "128MB"}


async def run(bench: Bench, *, of: str) -> dict[str, Any]:
    began = time.monotonic()
    small, large = await (_items(bench) if of == "open items" else _inbox(bench))
    filled_s = round(time.monotonic() - began, 1)
    await _in_turn(small, large, _payments() if of == "open items" else _contacts())
    for side in (small, large):
        await side.pool.close()
    return {
        "of": of,
        "rows": OPEN_ITEMS if of == "open items" else INBOX_ROWS,
        "filling_took_s": filled_s,
        "ratio": round(interleaved_ratio(large.wall_s, small.wall_s), 3),
        "ratio_of_processor_time": round(interleaved_ratio(large.cpu_s, small.cpu_s), 3),
        "us_per_event": [round(median(side.wall_s) * 1e6) for side in (small, large)],
        "passes": PASSES,
    }


def rows(found: dict[str, Any]) -> list[Row]:
    small, large = found["rows"]
    handler = "cash application" if found["of"] == "open items" else "simplest handler"
    what = f"{handler}, cost per event at {large:,} against {small:,} {found['of']}"
    return [
        judged(what, found["ratio"], "at most", RATIO_MAX, "x"),
        plain("the same by processor time", found["ratio_of_processor_time"], "x"),
        plain("per event, small / large", found["us_per_event"], "us"),
    ]


async def _in_turn(small: Inside, large: Inside, batches: list[Sequence[Event]]) -> None:
    for number, batch in enumerate(batches):
        for side in (small, large) if number % 2 else (large, small):
            await (side.measured(batch) if number >= WARM_PASSES else side.take(batch))


def _payments() -> list[Sequence[Event]]:
    paid = cash.payments()
    return [paid[n * BATCH : (n + 1) * BATCH] for n in range(WARM_PASSES + PASSES)]


def _contacts() -> list[Sequence[Event]]:
    made = [event(contact(f"a{n % 2_000}")) for n in range((WARM_PASSES + PASSES) * BATCH)]
    return [made[n * BATCH : (n + 1) * BATCH] for n in range(WARM_PASSES + PASSES)]


async def _items(bench: Bench) -> tuple[Inside, Inside]:
    """Both stores hold the same items that are paid; the rest of their items belong to others."""
    sides, books = [], cash.books()
    for size in OPEN_ITEMS:
        dsn = await bench.database("cash_application")
        side = await Inside(
            "cash_application", CashApplicationHandler(), await pool_of(dsn), bench.postgres_pid
        ).start()
        await side.take(books)
        await _filled(dsn, _more_items, size - cash.PAYMENTS)
        sides.append(side)
    return sides[0], sides[1]


async def _inbox(bench: Bench) -> tuple[Inside, Inside]:
    sides = []
    for size in INBOX_ROWS:
        dsn = await bench.toy_database()
        side = await Inside("cash_application", ToyHandler(), await pool_of(dsn), bench.postgres_pid).start()
        await side.take([configuration()])
        await _filled(dsn, _more_inbox, size)
        sides.append(side)
    return sides[0], sides[1]


async def _filled(dsn: str, fill: Any, count: int) -> None:
    """`fill` on a connection without the bounds of a service, then the statistics that a quiet night brings."""
    db = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, server_settings=SESSION)
    try:
        await prepare(db)
        await fill(db, count)
        await db.execute("vacuum (analyze)")
    finally:
        await db.close()


async def _more_inbox(db: asyncpg.Connection, count: int) -> None:
    await db.execute("insert into inbox (event_id) select gen_random_uuid() from generate_series(1, $1::int)", count)


async def _more_items(db: asyncpg.Connection, count: int) -> None:
    """Invoices of other customers with all that an invoice writes, then laid out in no order of time."""
    customers = max(1, count // ITEMS_PER_ACCOUNT)
    account, amount = f"'F' || g % {customers}", "10000 + g % 90000"
    own = {"account_id": "'F' || g - 1"}
    ids = {"document_id": uuid_of("document"), "item_id": uuid_of("item"), "posting_id": uuid_of("posting")}
    number = {"number": "'INV-F-' || lpad(g::text, 7, '0')", "account_id": account}
    await replicate(db, "account", customers, {**own, "name": "'Debtor ' || g || ' Ltd'"})
    for kind, key in (("a:", "'a:DE99' || g"), ("p:", "'p:DEBTOR ' || g"), ("w:", "'w:DEBTOR'")):
        await replicate(db, "account_lookup_key", customers, {**own, "key": key}, pattern=f"key like '{kind}%'")
    await replicate(db, "document", count, {**ids, **number, "total_minor": amount})
    amounts = {"original_minor": amount, "remaining_minor": amount, "payment_reference": "'RF00F' || g"}
    await replicate(db, "open_item", count, {**ids, **number, **amounts})
    for kind, key in (("r:", "'r:RF00F' || g"), ("t:", "'t:' || lpad((g % 100000)::text, 5, '0')")):
        changed = {**ids, "account_id": account, "key": key}
        await replicate(db, "item_lookup_key", count, changed, pattern=f"key like '{kind}%'")
    await replicate(db, "posting", count, {**ids, "cause_id": uuid_of("cause"), "account_id": account})
    item = f"case when t.item_id is not null then {ids['item_id']} end"
    lines = {"posting_id": ids["posting_id"], "account_id": account, "item_id": item}
    await replicate(db, "journal_line", count, lines, pattern=ONE_ENTRY, of=2)
    await db.execute("cluster open_item using open_item_pkey")
