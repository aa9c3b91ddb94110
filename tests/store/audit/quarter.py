"""A small company's books made through the real handler, with everything that the subledger can do, and its log.

The inputs are kept as records of the log; the outputs lie in the outbox, from where the auditor reads them.
"""

from collections import Counter
from datetime import UTC, date, datetime, time
from typing import Any

import asyncpg

from audit.log_reader import Event, Log, decode
from services.cash_application.domain import commands
from services.cash_application.handlers import CashApplicationHandler
from shared.events.catalogue import PARTITIONS
from shared.events.markers import DayClosed
from shared.ids import derive
from shared.runtime.effects import DayWork
from shared.runtime.markers import write_markers
from shared.runtime.transaction import Unit, apply_alone
from tests.builders import event
from tests.scenario.cash_application.desk import (
    ACME,
    CONFIG,
    bank_debit,
    cancelled,
    credit,
    customer,
    invoice,
    item,
    moment,
    pay_id,
    payment,
    returned,
)

DAYS = tuple(date(2026, 1, day) for day in (5, 6, 7, 8))
USD_IBAN = "US64SVBKUS6S3300958879"


class Company:
    """Feeds facts and commands and remembers the facts as the log has them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.unit = Unit("cash_application", CashApplicationHandler())
        self.moment = moment()
        self.inputs: list[Event] = []
        self._sequences: Counter[str] = Counter()
        self._number = 0

    async def feed(self, *facts: Any, on: date, actor: str = "feed:test") -> None:
        """One batch."""
        known_at = datetime.combine(on, time(9), tzinfo=UTC)
        events = [event(fact, company=ACME, on=on, known_at=known_at, actor=actor) for fact in facts]
        await apply_alone(self.pool, self.unit, events, self.moment)
        self.inputs += [self._record(made) for made in events if made.topic]

    async def close(self, on: date) -> None:
        """The run at the day's close and the subledger's marker behind it."""
        self._number += 1
        work = DayWork(company=ACME, date=on, number=self._number, phase=2)
        await self.feed(work, on=on)
        at = datetime.combine(on, time(18), tzinfo=UTC)
        async with self.pool.acquire() as db, db.transaction():
            totals = await self.unit.handler.totals(db, work)
            body = {"marker_id": derive("day", self._number), "number": self._number, "company": ACME, "date": on}
            marker = DayClosed(**body, at=at, totals=totals)
            await write_markers(db, "cash_application", ["ar.ledger"], marker, known_at=at, business_date=on)

    def _record(self, made: Any) -> Event:
        stream = made.topic if made.topic == "ar.payments" else f"{made.topic} {made.key}"
        self._sequences[stream] += 1
        headers = made.envelope.with_sequence(self._sequences[stream]).to_headers()
        value = made.data.model_dump_json().encode()
        return decode(made.topic, 0, len(self.inputs), made.key, headers, value)


async def write_quarter(pool: asyncpg.Pool) -> Company:
    """Four days: discounts, deductions, small differences, credits, cancellations, returns, refunds, two currencies."""
    company = Company(pool)
    monday, tuesday, wednesday, thursday = DAYS
    await company.feed(CONFIG, on=monday)
    await company.feed(
        customer(),
        customer("C2", "Alster Kontor AG", "DE02120300000000202051"),
        customer("C3", "Harbor Freight Partners LLC", USD_IBAN),
        invoice("INV-2026-00011", 120_000, discounts=[(date(2026, 1, 15), 2_400)]),
        invoice("INV-2026-00012", 80_050),
        invoice("INV-2026-00013", 33_317, "C2"),
        invoice("INV-2026-00014", 500_000, "C2"),
        invoice("INV-2026-00015", 99_999, "C3", currency="USD"),
        invoice("INV-2026-00016", 45_500),
        invoice("INV-2026-00018", 61_200, "C2"),
        on=monday,
    )
    await company.feed(
        payment("discounted", 117_600, "INV-2026-00011"),
        payment("partial", 30_000, "INV-2026-00012"),
        payment("dollars", 40_000, "INV-2026-00015", payer="Harbor Freight Partners LLC", iban=USD_IBAN, currency="USD",
                bank_account="USD-1"),
        payment("by-amount", 33_317, "", payer="Alster Kontor AG", iban="DE02120300000000202051"),
        payment("nobody", 12_345, "donation", payer="Unknown", iban=""),
        on=monday,
    )  # fmt: skip
    await company.close(monday)
    await company.feed(
        credit("CN-2026-00001", 10_000, "C2", on={"INV-2026-00014": 10_000}),
        payment("most", 489_700, "INV-2026-00014", payer="Alster Kontor AG", iban="DE02120300000000202051"),
        payment("too-much", 50_000, "INV-2026-00016"),
        payment("to-return", 61_200, "INV-2026-00018", payer="Alster Kontor AG", iban="DE02120300000000202051"),
        returned("early", 7_700, end_to_end="E2E-EARLY"),
        bank_debit("fee", 1_590, "charge"),
        on=tuesday,
    )
    await company.feed(commands.Identify(payment_id=pay_id("nobody"), account_id="C2"), on=tuesday, actor="user:ana")
    await company.close(tuesday)
    await company.feed(
        returned("back", 61_200, of="to-return", fee=300, on=wednesday),
        payment("late", 7_700, "nothing known", payer="Late Payer", iban="", end_to_end="E2E-EARLY"),
        payment("rest-dollars", 59_999, "INV-2026-00015", payer="Harbor Freight Partners LLC", iban=USD_IBAN,
                currency="USD", bank_account="USD-1", valued_on=wednesday),
        cancelled("INV-2026-00012", on=wednesday),
        on=wednesday,
    )  # fmt: skip
    apply = commands.ApplyLine(item_id=item("INV-2026-00018"), cash_minor=12_345)
    await company.feed(
        commands.Apply(payment_id=pay_id("nobody"), currency="EUR", lines=[apply]), on=wednesday, actor="user:ana"
    )
    await company.close(wednesday)
    await company.feed(bank_debit("rent", 20_000, "other"), on=thursday)
    await company.close(thursday)
    return company


async def read_records(db: asyncpg.Connection) -> list[dict[str, Any]]:
    """The outbox as the relay would send it."""
    return [
        dict(row) for row in await db.fetch("select id, topic, partition, key, headers, value from outbox order by id")
    ]


def log_of(company: Company, unsent: list[dict[str, Any]]) -> Log:
    """The inputs, then what the subledger told; keys go to partitions as on the broker, so markers stand behind."""
    from audit.log_reader import add_unsent
    from shared.bus.partitioner import partition_of

    log = Log()
    for made in company.inputs:
        log.add(made)
    placed = [
        row if row["partition"] is not None else {**row, "partition": partition_of(row["key"].encode(), PARTITIONS)}
        for row in unsent
    ]
    add_unsent(log, placed)
    return log
