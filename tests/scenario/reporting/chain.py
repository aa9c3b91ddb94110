"""Cash application and reporting in a row, without a bus: the door speaks to both, the ledger to the reports."""

from datetime import date, timedelta
from typing import Any

import asyncpg

from shared.events.facts import Fact
from tests.scenario.cash_application.desk import ACME, DAY, Desk
from tests.store.reporting.world import World

DIFFERENCES = "select * from reconciliation where date = $1 and difference_minor is distinct from 0"


class Chain:
    """`split`: reporting reads every fact in a batch of its own, and twice."""

    def __init__(self, ledger: asyncpg.Pool, reports: asyncpg.Pool, **policy: Any) -> None:
        self.desk, self.world = Desk(ledger, **policy), World(reports, company=ACME)
        self.on, self.split = DAY, False
        self.world.on = DAY

    async def feed(self, *facts: Fact, actor: str = "feed:test") -> list[Fact]:
        told = await self.desk.feed(*facts, on=self.on, actor=actor)
        known = [fact for fact in facts if getattr(fact, "TYPE", "")]
        await self._tell([*known, *told])
        return told

    async def _tell(self, facts: list[Fact]) -> None:
        for batch in [[fact] for fact in facts for _ in (1, 2)] if self.split else [facts]:
            await self.world.tell(*batch)

    async def close(self) -> list[dict[str, Any]]:
        """Close the day in both; the rows of the reconciliation that differ."""
        day = self.on
        await self._tell(await self.desk.close(day))
        await self.world.close(await self.desk.prove(day))
        self.on = self.world.on
        return await self.world.rows(DIFFERENCES, day)

    def yesterday(self) -> date:
        return self.on - timedelta(days=1)
