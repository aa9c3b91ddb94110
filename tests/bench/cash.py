"""Cash application where the own reference decides: payments per second, and the rows that one payment writes."""

import asyncio
from typing import Any

import asyncpg

from sample.checksums import creditor_reference
from tests.bench.rows import copy_rows_per_s, counters, difference, named
from tests.bench.simplest import BATCH
from tests.bench.world import Bench, pool_of
from tests.builders import event
from tests.scenario.cash_application.desk import CONFIG, customer, invoice, payment

ACCOUNTS, INVOICES_EACH = 500, 12
PAYMENTS = ACCOUNTS * INVOICES_EACH
OUTCOMES = "select rule, outcome, count(*) as payments from receipt group by 1, 2"


def _iban(account: int) -> str:
    return f"DE0212030000{account:010d}"


def _reference(number: int) -> str:
    return creditor_reference(f"INV{number:07d}")


def books() -> list[Any]:
    """The company, its customers, and open invoices with references of our own."""
    accounts = [customer(f"C{n}", f"Kunde Nummer {n} GmbH", _iban(n)) for n in range(ACCOUNTS)]
    documents = [
        invoice(f"INV-2026-{n:06d}", 10_000 + n, f"C{n % ACCOUNTS}", reference=_reference(n)) for n in range(PAYMENTS)
    ]
    return [event(fact) for fact in (CONFIG, *accounts, *documents)]


def payments() -> list[Any]:
    return [event(_payment(n, n % ACCOUNTS)) for n in range(PAYMENTS)]


def _payment(number: int, account: int) -> Any:
    payer = f"Kunde Nummer {account} GmbH"
    return payment(f"p{number}", 10_000 + number, _reference(number), payer=payer, iban=_iban(account))


async def run(bench: Bench) -> dict[str, Any]:
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
    await _prove(pool)
    inserted = {table: counts[0] for table, counts in wrote.items() if counts[0] >= PAYMENTS // 2}
    rows = sum(inserted.values()) / PAYMENTS
    copied = await copy_rows_per_s(pool, inserted, PAYMENTS // BATCH)
    await pool.close()
    return {
        "payments": PAYMENTS,
        "accounts": ACCOUNTS,
        **found,
        "rows_inserted_per_payment": round(rows, 2),
        "rows_updated_per_payment": round(sum(c[1] for c in wrote.values()) / PAYMENTS, 2),
        "rows_inserted_per_s": round(rows * found["per_s"]),
        "copy_rows_per_s": round(copied),
        "share_of_copy": round(rows * found["per_s"] / copied, 3),
        "tables": named(wrote),
        "facts_before": documents,
    }


async def _stage(bench: Bench, pool: asyncpg.Pool, dsn: str, wanted: int) -> dict[str, float]:
    worker = bench.worker("cash_application", dsn)
    try:
        return await bench.timed(pool, worker, wanted)
    finally:
        await asyncio.to_thread(worker.stop)


async def _prove(pool: asyncpg.Pool) -> None:
    """Every payment was posted, and by the own reference."""
    async with pool.acquire() as db:
        found = [tuple(row) for row in await db.fetch(OUTCOMES)]
    if len(found) != 1 or found[0][2] != PAYMENTS or found[0][0] != "own_reference":
        raise RuntimeError(f"not every payment was applied by its own reference: {found}")
