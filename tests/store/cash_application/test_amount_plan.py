"""Looking for waiting cash by amount reads one index entry per amount, also where a fresh store was never analysed."""

from services.cash_application.store.connecting import WAITING
from tests.scenario.cash_application.desk import Desk, payment

AMOUNTS = 1_000


async def test_each_amount_is_found_by_its_index(desk: Desk):
    waiting = [payment(f"w{n}", 10_000 + n, "x", payer=f"Fremd {n}", iban=f"FR76{n:023d}") for n in range(AMOUNTS)]
    await desk.feed(*waiting)
    wanted = (["acme"] * AMOUNTS, ["EUR"] * AMOUNTS, list(range(50_000, 50_000 + AMOUNTS)), 1_000)
    plan = "\n".join(row[0] for row in await desk.rows(f"explain (analyze, timing off) {WAITING}", *wanted))
    assert "receipt_of_amount" in plan, plan
    assert "open_minor = wanted.amount_minor" in plan.split("Index Cond:")[1].splitlines()[0]
    assert "Rows Removed by Filter" not in plan
