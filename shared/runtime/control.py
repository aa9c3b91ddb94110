"""What every service knows of control and time: companies, policies, rates, the business clock.

Stored by the runtime in the transaction of the batch that carries them; cached per process by a version.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import asyncpg

from shared.events.codec import Event
from shared.events.control import CompanyConfigured, PolicyActivated, RatePublished
from shared.events.markers import CompanyReach
from shared.runtime import statements as sql
from shared.runtime.effects import Moment, Policy


class ControlCache:
    """The last control rows read, with their version; reloaded when the version in the store has moved."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._companies: dict[str, CompanyConfigured] = {}
        self._policies: tuple[Policy, ...] = ()
        self._rates: dict[tuple[str, str], tuple[tuple[date, str], ...]] = {}
        self._reach_number = -1
        self._reach: dict[str, CompanyReach] = {}

    async def moment(self, db: asyncpg.Connection) -> Moment:
        """What is known inside the transaction of `db`: one statement, four when control has changed."""
        row = await db.fetchrow(sql.MOMENT)
        if row["version"] != self._version:
            await self._reload(db, row["version"])
        if row["number"] is not None and row["number"] != self._reach_number:
            self._reach = {c: CompanyReach.model_validate(body) for c, body in row["reach"].items()}
            self._reach_number = row["number"]
        return Moment(
            now=row["at"],
            number=row["number"] or 0,
            reach=self._reach,
            closed_on={c: date.fromisoformat(d) for c, d in (row["closed"] or {}).items()},
            companies=self._companies,
            policies=self._policies,
            rates=self._rates,
            tick_complete_at=row["complete_at"],
        )

    async def _reload(self, db: asyncpg.Connection, version: int | None) -> None:
        companies = {
            row["company"]: CompanyConfigured.model_validate(row["body"]) for row in await db.fetch(sql.COMPANIES)
        }
        policies = tuple(Policy(**row) for row in await db.fetch(sql.POLICIES))
        rates: dict[tuple[str, str], list[tuple[date, str]]] = defaultdict(list)
        for row in await db.fetch(sql.RATES):
            rates[row["company"], row["pair"]].append((row["on"], row["rate"]))
        # All at once: loops share the cache, and none may see the parts of two versions.
        self._companies, self._policies = companies, policies
        self._rates = {key: tuple(found) for key, found in rates.items()}
        self._version = version

    def forget(self) -> None:
        """After a rollback the cached rows may be of a version that never was."""
        self._version = None


async def save_control(db: asyncpg.Connection, events: Sequence[Event]) -> bool:
    """Store the control facts among `events`; later ones of a batch win. True when anything was stored."""
    companies = {e.data.company: e.data for e in events if isinstance(e.data, CompanyConfigured)}
    policies = {
        (e.data.company, e.data.name, e.data.version): e.data for e in events if isinstance(e.data, PolicyActivated)
    }
    rates = {(e.data.company, e.data.pair, e.data.on): e.data for e in events if isinstance(e.data, RatePublished)}
    if companies:
        bodies = [c.model_dump(mode="json") for c in companies.values()]
        await db.execute(sql.SAVE_COMPANIES, list(companies), bodies)
    if policies:
        kept = list(policies.values())
        await db.execute(
            sql.SAVE_POLICIES,
            [p.company for p in kept],
            [p.name for p in kept],
            [p.version for p in kept],
            [p.sha256 for p in kept],
            [p.effective_on for p in kept],
            [p.content for p in kept],
        )
    if rates:
        found = list(rates.values())
        await db.execute(
            sql.SAVE_RATES,
            [r.company for r in found],
            [r.pair for r in found],
            [r.on for r in found],
            [r.rate for r in found],
        )
    if companies or policies or rates:
        await db.execute(sql.BUMP_CONTROL)
        return True
    return False
