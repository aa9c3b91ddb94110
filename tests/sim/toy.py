"""The toy ledger of the simulation: facts move amounts onto accounts, timers and closed days add theirs.

Every effect is one `cash.changed` with the account's next version, so that the log alone tells what was done.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared.events.accounts import ContactUpdated
from shared.events.codec import Event
from shared.events.ledger import CashChanged
from shared.runtime.effects import DayWork, Effects, Moment, PoisonEvent, Timer, TimerFired
from shared.runtime.tables import add_runtime_tables

metadata = sa.MetaData()
add_runtime_tables(metadata)
sa.Table(
    "sim_account",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("balance", sa.BigInteger, nullable=False),
)

# One statement makes what is missing and locks all in order: an insert before a lock would wait in two orders.
LOCK_ACCOUNTS = """
insert into sim_account as s (account_id, version, balance)
select id, 0, 0 from unnest($1::text[]) as a(id) order by 1
on conflict (account_id) do update set version = s.version returning account_id, version, balance
"""
SAVE_ACCOUNTS = """
update sim_account s set version = n.version, balance = n.balance
from unnest($1::text[], $2::bigint[], $3::bigint[]) as n(account_id, version, balance)
where s.account_id = n.account_id
"""
TOTALS = "select coalesce(sum(version), 0)::int as effects, coalesce(sum(balance), 0)::int as balance from sim_account"
DAY_MINOR = 1


def movements(text: str) -> dict[str, int]:
    """`a1:5,a3:2` -> what each account gets."""
    return {account: int(amount) for account, _, amount in (part.partition(":") for part in text.split(",") if part)}


class ToyLedger:
    """One handler for all members of a world. `mended`: poison is digestible now; `sour`: marked timers fail."""

    day_parts = 2
    day_phase2 = True

    def __init__(self) -> None:
        self.mended = False
        self.sour = True

    def touched(self, event: Event) -> dict[str, int]:
        data = event.data
        if isinstance(data, ContactUpdated):
            return movements(data.name)
        if isinstance(data, TimerFired):
            return movements(data.payload["moves"])
        if isinstance(data, DayWork):
            return {f"day{data.phase}{data.part}": DAY_MINOR}
        return {}

    async def load(self, db: Any, events: Sequence[Event], moment: Moment) -> dict[str, list[int]]:
        accounts = sorted({account for event in events for account in self.touched(event)})
        if not accounts:
            return {}
        rows = await db.fetch(LOCK_ACCOUNTS, accounts)
        return {row["account_id"]: [row["version"], row["balance"]] for row in rows}

    def decide(self, state: dict[str, list[int]], events: Sequence[Event], moment: Moment) -> Effects:
        effects = Effects(rows={})
        for event in events:
            self._refuse(event)
            for account, amount in self.touched(event).items():
                state[account] = [state[account][0] + 1, state[account][1] + amount]
                effects.rows[account] = state[account]
                effects.emit(event, self.told(event, account, state[account], moment), account)
            if isinstance(event.data, ContactUpdated) and event.data.phone:
                effects.timers.append(_ordered(event))
        effects.reply = {"touched": sorted(effects.rows)}
        return effects

    def _refuse(self, event: Event) -> None:
        data = event.data
        if isinstance(data, ContactUpdated) and not self.mended:
            if data.email == "poison":
                raise PoisonEvent(event, "this contact cannot be digested")
            if data.email == "unnamed":
                raise ZeroDivisionError("a bug of the handler")
        if isinstance(data, TimerFired) and data.payload["sour"] and self.sour:
            raise ValueError("this timer cannot be decided yet")

    def told(self, event: Event, account: str, state: list[int], moment: Moment) -> CashChanged:
        return CashChanged(
            company=event.company,
            account_id=account,
            currency="EUR",
            version=state[0],
            unapplied_minor=state[1],
            on_account_minor=self.instant(moment),
        )

    def instant(self, moment: Moment) -> int:
        """When this was decided, as the number of the last complete tick."""
        return moment.number

    async def save(self, db: Any, effects: Effects) -> None:
        if effects.rows:
            accounts = sorted(effects.rows)
            states = [effects.rows[account] for account in accounts]
            await db.execute(SAVE_ACCOUNTS, accounts, [v for v, _ in states], [b for _, b in states])

    async def totals(self, db: Any, closed: DayWork) -> dict[str, int]:
        row = await db.fetchrow(TOTALS)
        return {"effects": row["effects"], "balance": row["balance"]}


def _ordered(event: Event) -> Timer:
    """A timer of its own for each fact that orders one: `phone` is when, `address` what it moves."""
    data = event.data
    payload = {"moves": data.address, "sour": "sour" in data.roles}
    due_at = datetime.fromisoformat(data.phone)
    return Timer("late", str(event.envelope.id), event.company, due_at, event, payload=payload)
