"""Cash application where the own reference decides: payments per second, and the rows that one payment writes."""

import asyncio
from typing import Any

import asyncpg

from sample.checksums import creditor_reference
from tests.bench.figures import Row, judged, plain
from tests.bench.rows import copy_rows_per_s, counters, difference, named
from tests.bench.simplest import BATCH
from tests.bench.world import Bench, pool_of
from tests.builders import event
from tests.scenario.cash_application.desk import CONFIG, customer, invoice, payment

ACCOUNTS, INVOICES_EACH = 500, 12
PAYMENTS = ACCOUNTS * INVOICES_EACH
# Two workers lock account rows: with few accounts every batch of one waits for every batch of the other.
ACCOUNTS_OF_TWO, INVOICES_OF_TWO = 6_000, 2
SHARE_OF_COPY_MIN = 25
OUTCOMES = "select rule, outcome, count(*) as payments from receipt group by 1, 2"


def _iban(account: int) -> str:
    return f"DE0212030000{account:010d}"


def _reference(number: int) -> str:
    return creditor_reference(f"INV{number:07d}")


def books(accounts: int = ACCOUNTS, invoices_each: int = INVOICES_EACH) -> list[Any]:
    """The company, its customers, and open invoices with references of our own."""
    customers = [customer(f"C{n}", f"Kunde Nummer {n} GmbH", _iban(n)) for n in range(accounts)]
    documents = [
        invoice(f"INV-2026-{n:06d}", 10_000 + n, f"C{n % accounts}", reference=_reference(n))
        for n in range(accounts * invoices_each)
    ]
    return [event(fact) for fact in (CONFIG, *customers, *documents)]


def payments(accounts: int = ACCOUNTS, invoices_each: int = INVOICES_EACH) -> list[Any]:
    return [event(payment_of(n, n % accounts)) for n in range(accounts * invoices_each)]


def payment_of(number: int, account: int) -> Any:
    """The payment of the invoice `number` of `books`."""
    payer = f"Kunde Nummer {account} GmbH"
    return payment(f"p{number}", 10_000 + number, _reference(number), payer=payer, iban=_iban(account))


async def run(bench: Bench) -> dict[str, Any]:
    """One worker, with the rows it writes as a share of a plain COPY; then two workers of one group."""
    return {**await _one(bench), "two_workers": await _two(bench)}


def rows(found: dict[str, Any]) -> list[Row]:
    processor = [found["worker_cpu_us_per_event"], found["postgres_cpu_us_per_event"]]
    each = [found["rows_inserted_per_payment"], found["rows_updated_per_payment"]]
    share = 100 * found["share_of_copy"]
    return [
        judged("cash application, rows written/s as share of COPY", share, "at least", SHARE_OF_COPY_MIN, "%"),
        plain("rows written/s, inserted and updated", found["rows_written_per_s"]),
        plain("plain COPY of the same rows, rows/s", found["copy_rows_per_s"]),
        plain("rows inserted / updated per payment", each),
        plain("share by inserted rows alone", 100 * found["share_of_copy_inserted"], "%"),
        plain("payments/s, one worker", found["per_s"]),
        plain("processor time per payment, worker / PostgreSQL", processor, "us"),
        plain("payments/s, two workers", found["two_workers"]["per_s"]),
    ]


async def _one(bench: Bench) -> dict[str, Any]:
    dsn = await bench.database("cash_application")
    pool = await pool_of(dsn)
    await bench.begin_at_the_end(pool)
    facts = books()
    await bench.feed(facts)
    documents = await _stage(bench, pool, dsn, len(facts))
    before = await counters(pool)
    await bench.feed(payments())
    found = await _stage(bench, pool, dsn, PAYMENTS)
    wrote = difference(before, await counters(pool))
    await _prove(pool, PAYMENTS)
    often = {table: counts for table, counts in wrote.items() if counts[0] + counts[1] >= PAYMENTS // 2}
    commits = PAYMENTS // BATCH
    written = {table: counts[0] + counts[1] for table, counts in often.items()}
    inserted = {table: counts[0] for table, counts in often.items() if counts[0]}
    copied = await copy_rows_per_s(pool, written, commits)
    copied_inserted = await copy_rows_per_s(pool, inserted, commits)
    await pool.close()
    rows_written, rows_inserted = (sum(each.values()) / PAYMENTS for each in (written, inserted))
    return {
        "payments": PAYMENTS,
        "accounts": ACCOUNTS,
        **found,
        "rows_inserted_per_payment": round(rows_inserted, 2),
        "rows_updated_per_payment": round(sum(c[1] for c in wrote.values()) / PAYMENTS, 2),
        "rows_written_per_s": round(rows_written * found["per_s"]),
        "copy_rows_per_s": round(copied),
        "share_of_copy": round(rows_written * found["per_s"] / copied, 3),
        "share_of_copy_inserted": round(rows_inserted * found["per_s"] / copied_inserted, 3),
        "tables": named(wrote),
        "facts_before": documents,
    }


async def _two(bench: Bench) -> dict[str, Any]:
    dsn = await bench.database("cash_application")
    pool = await pool_of(dsn)
    await bench.begin_at_the_end(pool)
    facts = books(ACCOUNTS_OF_TWO, INVOICES_OF_TWO)
    await bench.feed(facts)
    await _stage(bench, pool, dsn, len(facts))
    paid = payments(ACCOUNTS_OF_TWO, INVOICES_OF_TWO)
    await bench.feed(paid)
    found = await _stage(bench, pool, dsn, len(paid), workers=2)
    await _prove(pool, len(paid))
    await pool.close()
    return {"payments": len(paid), "accounts": ACCOUNTS_OF_TWO, **found}


async def _stage(bench: Bench, pool: asyncpg.Pool, dsn: str, wanted: int, workers: int = 1) -> dict[str, float]:
    group = f"bench-{dsn[-12:]}-{wanted}"
    started = [bench.worker("cash_application", dsn, beside=group) for _ in range(workers)]
    try:
        return await bench.timed(pool, *started, wanted=wanted)
    finally:
        for worker in started:
            await asyncio.to_thread(worker.stop)


async def _prove(pool: asyncpg.Pool, payments: int) -> None:
    """Every payment was posted, and by the own reference."""
    async with pool.acquire() as db:
        found = [tuple(row) for row in await db.fetch(OUTCOMES)]
    if len(found) != 1 or found[0][2] != payments or found[0][0] != "own_reference":
        raise RuntimeError(f"not every payment was applied by its own reference: {found}")
