"""Our figures equal those of the real subledger at every close, whatever happens to documents and payments."""

import random
from datetime import timedelta

import pytest

from services.cash_application.domain.commands import PutOnAccount, Unapply
from shared.events.payments import RemittanceLine
from tests.scenario.cash_application.desk import (
    bank_debit,
    cancelled,
    credit,
    customer,
    date,
    debit_memo,
    invoice,
    pay_id,
    payment,
    rebilled,
    returned,
)
from tests.scenario.reporting.chain import Chain

FIRST = date(2026, 1, 20)


async def test_a_plain_day_agrees(chain: Chain) -> None:
    await chain.feed(customer(), invoice("INV-2026-00017", 10_000), credit("CM-77001", 700))
    await chain.feed(payment("p1", 4_000, "INV-2026-00017"), payment("p2", 800, "x"), bank_debit("b1", 25, "charge"))
    await chain.feed(payment("p3", 900, "y", payer="", iban=""))
    assert await chain.close() == []
    assert len(await chain.world.rows("select 1 from reconciliation")) >= 8


async def test_discounts_instalments_credits_cancellations_and_rebills_agree(chain: Chain) -> None:
    await chain.feed(
        customer(),
        invoice("INV-2026-00017", 10_000, discounts=[(FIRST, 200)]),
        invoice("INV-2026-00018", 9_000, parts=[("001", date(2026, 2, 4), 4_000), ("002", date(2026, 3, 4), 5_000)]),
        invoice("INV-2026-00019", 3_000),
        debit_memo("DM-2026-00001", 1_200),
    )
    await chain.feed(payment("p1", 9_800, "INV-2026-00017"), payment("p2", 6_000, "INV-2026-00018"))
    await chain.feed(credit("CM-2026-00001", 1_000, on={"INV-2026-00019": 1_000}), cancelled("INV-2026-00019"))
    assert await chain.close() == []
    await chain.feed(invoice("INV-2026-00020", 5_500), rebilled("INV-2026-00020", "INV-2026-00018", True))
    assert await chain.close() == []


async def test_returns_before_and_after_their_payment_agree(chain: Chain) -> None:
    await chain.feed(customer(), invoice("INV-2026-00017", 10_000))
    await chain.feed(payment("p1", 10_000, "INV-2026-00017"), returned("r2", 500, of="p2", fee=30))
    assert await chain.close() == []
    await chain.feed(returned("r1", 10_000, of="p1", fee=30, on=chain.on), payment("p2", 500, "x"))
    assert await chain.close() == []


async def test_money_booked_yesterday_that_comes_today_agrees(chain: Chain) -> None:
    await chain.feed(customer(), invoice("INV-2026-00017", 10_000))
    assert await chain.close() == []
    booked = chain.yesterday()
    await chain.feed(payment("p1", 4_000, "INV-2026-00017", valued_on=booked))
    await chain.feed(invoice("INV-2026-00018", 2_000), payment("p2", 2_000, "INV-2026-00018", valued_on=booked))
    assert await chain.close() == []


async def test_deductions_and_over_payment_agree(chain: Chain) -> None:
    await chain.feed(customer(), invoice("INV-2026-00017", 10_000), invoice("INV-2026-00018", 10_000))
    line = RemittanceLine(
        document="INV-2026-00017", gross_minor=10_000, deduction_minor=900, reason="PRICE", paid_minor=9_100
    )
    await chain.feed(payment("p1", 9_100, remittance=[line]), payment("p2", 10_700, "INV-2026-00018"))
    assert await chain.close() == []
    (row,) = await chain.world.rows("select sum((relief ->> 'moved')::bigint)::bigint as moved from item")
    assert row["moved"] == 900


async def test_what_a_person_moves_agrees_and_is_read_in_single_batches_twice(chain: Chain) -> None:
    chain.split = True
    await chain.feed(customer(), invoice("INV-2026-00017", 10_000), invoice("INV-2026-00018", 4_000))
    await chain.feed(payment("p1", 10_000, "INV-2026-00017"), payment("p2", 800, "x"))
    (posting,) = await chain.world.rows("select posting_id from application")
    await chain.feed(
        Unapply(payment_id=pay_id("p1"), posting_id=posting["posting_id"], reason_code="MISAPPLIED"), actor="user:ana"
    )
    await chain.feed(
        PutOnAccount(payment_id=pay_id("p2"), account_id="C1", amount_minor=800, currency="EUR"), actor="user:ana"
    )
    assert await chain.close() == []
    (row,) = await chain.world.rows("select reason_code from application_reversal")
    assert row["reason_code"] == "MISAPPLIED"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_random_weeks_agree_at_every_close(chain: Chain, seed: int) -> None:
    chance = random.Random(seed)
    customers = ["C1", "C2", "C3"]
    for number, name in enumerate(customers):
        await chain.feed(customer(name, f"Debtor {name} GmbH", iban=f"DE8937040044053201300{number}"))
    open_numbers: list[tuple[str, int, str]] = []
    paid: list[tuple[str, int]] = []
    for day in range(6):
        facts = []
        for n in range(4):
            number, amount, owner = (
                f"INV-2026-{day:03d}{n:02d}",
                chance.randrange(1_000, 90_000),
                chance.choice(customers),
            )
            open_numbers.append((number, amount, owner))
            facts.append(invoice(number, amount, owner, currency="EUR", due_on=chain.on + timedelta(days=30)))
        await chain.feed(*facts)
        for n in range(3):
            number, amount, owner = open_numbers.pop(chance.randrange(len(open_numbers)))
            name, text = f"p{day}{n}", chance.choice([number, number, "no word", ""])
            minor = chance.choice([amount, amount, amount // 2, amount + 777])
            paid.append((name, minor))
            booked = chain.on - timedelta(days=chance.choice([0, 0, 1]))
            iban = f"DE8937040044053201300{customers.index(owner)}"
            await chain.feed(payment(name, minor, text, payer=f"Debtor {owner} GmbH", iban=iban, valued_on=booked))
        if day % 2:
            name, minor = paid.pop(chance.randrange(len(paid)))
            await chain.feed(returned(f"r{day}", minor, of=name, fee=chance.choice([0, 25]), on=chain.on))
        assert await chain.close() == []
    own = await chain.world.rows("select difference_minor from reconciliation where scope = 'cash.changed'")
    assert {row["difference_minor"] for row in own} <= {0}
