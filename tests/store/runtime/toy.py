"""A toy service for tests of the runtime: it adds up what accounts were promised, one row per account."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from shared.approval import approval_table
from shared.events.accounts import ContactUpdated
from shared.events.codec import Event
from shared.events.ledger import CashChanged
from shared.runtime.effects import DayWork, Effects, Moment, PoisonEvent, Timer, TimerFired
from shared.runtime.tables import add_runtime_tables

metadata = sa.MetaData()
add_runtime_tables(metadata)
approval_table(metadata)
sa.Table(
    "toy_account",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("facts", sa.BigInteger, nullable=False),
)
sa.Table("toy_fact", metadata, sa.Column("event_id", sa.Uuid, primary_key=True), sa.Column("account_id", sa.Text))

LOCK = "select account_id, facts from toy_account where account_id = any($1::text[]) order by account_id for update"
SAVE = """
insert into toy_account (account_id, facts) select * from unnest($1::text[], $2::bigint[]) order by 1
on conflict (account_id) do update set facts = excluded.facts
"""


class ToyHandler:
    """Counts contact.updated per account and publishes the count; `poison` makes contacts of that name undigestible."""

    day_parts = 2
    day_phase2 = True

    def __init__(self, poison: str = "") -> None:
        self.poison = poison
        self.days: list[DayWork] = []
        self.fired: list[TimerFired] = []
        self.principals: list[Any] = []

    async def load(self, db: Any, events: Sequence[Event], moment: Moment) -> dict[str, int]:
        accounts = sorted({e.data.account_id for e in events if isinstance(e.data, ContactUpdated)})
        return {row["account_id"]: row["facts"] for row in await db.fetch(LOCK, accounts)}

    def decide(self, state: dict[str, int], events: Sequence[Event], moment: Moment) -> Effects:
        effects = Effects(rows={"accounts": {}, "facts": []})
        for each in events:
            if isinstance(each.data, DayWork):
                self.days.append(each.data)
            elif isinstance(each.data, TimerFired):
                self.fired.append(each.data)
                if each.data.kind == "explode":
                    raise ValueError("boom")
            elif isinstance(each.data, ContactUpdated):
                self._contact(state, each, effects)
        return effects

    def _contact(self, state: dict[str, int], each: Event, effects: Effects) -> None:
        contact: ContactUpdated = each.data
        self.principals += [each.principal] if each.principal else []
        if self.poison and contact.name == self.poison:
            raise PoisonEvent(each, f"the name {contact.name!r} cannot be digested")
        if contact.name == "unnamed failure":
            raise ZeroDivisionError("a bug")
        count = state.get(contact.account_id, 0) + 1
        state[contact.account_id] = effects.rows["accounts"][contact.account_id] = count
        effects.rows["facts"].append((each.envelope.id, contact.account_id))
        effects.emit(each, cash(each.company, contact.account_id, count), contact.account_id)
        if contact.phone == "call back":
            effects.timers.append(Timer("call", contact.account_id, each.company, each.envelope.known_at, each))

    async def save(self, db: Any, effects: Effects) -> None:
        accounts, facts = effects.rows["accounts"], effects.rows["facts"]
        if accounts:
            await db.execute(SAVE, list(accounts), list(accounts.values()))
            # Copied in, without `on conflict`: a fact that is applied twice fails the test.
            await db.copy_records_to_table("toy_fact", records=facts, columns=("event_id", "account_id"))

    async def totals(self, db: Any, closed: DayWork) -> dict[str, Any]:
        return {"facts": await db.fetchval("select count(*) from toy_fact")}


def cash(company: str, account_id: str, version: int) -> CashChanged:
    return CashChanged(
        company=company, account_id=account_id, currency="EUR", version=version, unapplied_minor=0, on_account_minor=0
    )


def contact(account_id: str, name: str = "Ann", phone: str = "", company: str = "acme") -> ContactUpdated:
    return ContactUpdated(company=company, account_id=account_id, contact_id="c1", name=name, phone=phone)


def ids(rows: Sequence[Any]) -> set[UUID]:
    return {row["event_id"] for row in rows}
