"""The number of SQL statements of a batch does not depend on its size."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from shared.events.payments import HeldCredit
from tests.builders import event
from tests.scenario.cash_application.desk import DAY, Desk, credit, customer, invoice, payment, returned
from tests.scenario.cash_application.test_candidates import held

SIZES = (1, 10, 500)


def account(number: int):
    return customer(f"C{number}", f"Kunde Nummer {number} GmbH", f"DE0212030000{number:010d}")


def documents(number: int):
    return [invoice(f"INV-2026-{number:05d}", 10_000 + number, f"C{number}")]


def payments(number: int):
    iban = f"DE0212030000{number:010d}"
    return [payment(f"p{number}", 10_000 + number, f"INV-2026-{number:05d}", payer=f"Kunde {number}", iban=iban)]


def waiting(number: int):
    return [payment(f"w{number}", 777_000 + number, "no idea", payer=f"Fremd {number}", iban=f"FR76{number:023d}")]


def met(number: int):
    """A new item and cash of exactly its amount that waits since before."""
    return [invoice(f"INV-2027-{number:05d}", 777_000 + number, f"C{number}")]


def unbooked(number: int):
    """Held cash that cites nobody yet."""
    held_credit = HeldCredit(amount_minor=888_000 + number, references=[f"INV-2028-{number:05d}"])
    return [held(held_credit).model_copy(update={"statement_id": f"S-{number}"})]


def unbooked_met(number: int):
    return [invoice(f"INV-2028-{number:05d}", 888_000 + number, f"C{number}")]


def returns(number: int):
    return [returned(f"r{number}", 10_000 + number, of=f"p{number}")]


def credits(number: int):
    return [credit(f"CM-{number:05d}", 500, f"C{number}", on={f"INV-2026-{number:05d}": 500})]


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Statements that any connection runs, COPY included."""
    seen: list[str] = []
    with monkeypatch.context() as patch:
        for name in ("fetch", "fetchrow", "fetchval", "execute", "copy_records_to_table", "executemany"):
            plain = getattr(asyncpg.Connection, name)

            def logged(self, first, *values, _plain=plain, **options):
                seen.append(first)
                return _plain(self, first, *values, **options)

            patch.setattr(asyncpg.Connection, name, logged)
        yield seen


async def run(desk: Desk, facts: list, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from shared.runtime.transaction import apply

    events = [event(fact, on=DAY) for fact in facts]
    async with desk.pool.acquire() as pooled, pooled.transaction():
        db = pooled._con  # noqa: SLF001
        with counted(monkeypatch) as seen:
            await apply(db, desk.unit, events, desk.moment)
    return seen


@pytest.mark.parametrize("make", [documents, payments, waiting, met, unbooked, unbooked_met, credits, returns])
async def test_statements_do_not_grow_with_the_batch(desk: Desk, monkeypatch: pytest.MonkeyPatch, make):
    offsets = {1: 0, 10: 1_000, 500: 2_000}
    numbers = {size: range(offset, offset + size) for size, offset in offsets.items()}
    everybody = [n for size in SIZES for n in numbers[size]]
    await run(desk, [account(n) for n in everybody], monkeypatch)
    if make is not documents:
        await run(desk, [fact for n in everybody for fact in documents(n)], monkeypatch)
    if make is met:
        await run(desk, [fact for n in everybody for fact in waiting(n)], monkeypatch)
    if make is unbooked_met:
        await run(desk, [fact for n in everybody for fact in unbooked(n)], monkeypatch)
    if make is returns:
        await run(desk, [fact for n in everybody for fact in payments(n)], monkeypatch)
    seen = {size: await run(desk, [f for n in numbers[size] for f in make(n)], monkeypatch) for size in SIZES}
    counts = {size: len(statements) for size, statements in seen.items()}
    assert len(set(counts.values())) == 1, [set(seen[500]) ^ set(seen[1]), counts]
    assert counts[1] <= 40
    if make is met:
        found = await desk.row("select count(*) from candidate where open and evidence = '{exact_amount}'")
        assert found["count"] == len(everybody)
    if make is unbooked_met:
        found = await desk.row("select count(*) from candidate where open and evidence = '{reference}'")
        assert found["count"] == len(everybody)
    await desk.prove()
