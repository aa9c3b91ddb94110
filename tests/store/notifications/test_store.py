"""The statements of notifications on PostgreSQL: versions, claims, and their number per batch."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from services.notifications import store
from services.notifications.channels.errands import tell
from shared.errors import Transient
from shared.events.ledger import CashCandidate, CashCandidateCleared, CashChanged, ItemChanged, ItemOpened
from shared.ids import derive
from shared.runtime.effects import DayWork
from shared.runtime.transaction import apply_alone
from tests.builders import event
from tests.scenario.notifications.world import (
    ACCOUNT,
    COMPANY,
    FRIDAY,
    MORNING,
    World,
    account,
    contact,
    hold,
    item,
    noted,
    notice,
)


@pytest.fixture
async def world(make_database, tmp_path):
    made = await World.open(await make_database("notifications"), tmp_path)
    yield made
    await made.close()


async def claim(world: World, owner: str = "one", number: int = 99, **changes) -> list[asyncpg.Record]:
    now = world.runtime.clock.now()
    facts = {
        "business_now": MORNING, "number": number, "wall_now": now,
        "lease_until_at": now + timedelta(seconds=60), "owner": owner, "limit": 200,
    } | changes  # fmt: skip
    async with world.pool.acquire() as db:
        return await store.claim_notices(db, **facts)


async def test_a_lower_version_never_overwrites_a_higher_one(world: World) -> None:
    balance = CashChanged(
        company=COMPANY, account_id=ACCOUNT, currency="EUR", version=2, unapplied_minor=7, on_account_minor=0
    )
    await world.tell(item(kind=ItemChanged, version=2, remaining_minor=5), balance)
    await world.tell(item(kind=ItemOpened), balance.model_copy(update={"version": 1, "unapplied_minor": 0}))
    assert await world.pool.fetchval("select remaining_minor from item") == 5
    assert await world.pool.fetchval("select unapplied_minor from balance") == 7


async def test_a_candidate_is_cleared_in_a_later_batch(world: World) -> None:
    candidate = CashCandidate(
        company=COMPANY, candidate_id=derive("c"), account_id=ACCOUNT, amount_minor=5, currency="EUR", source="held"
    )
    await world.tell(candidate)
    assert await world.pool.fetchrow("select live, since_on from candidate") == (True, FRIDAY)
    await world.tell(CashCandidateCleared(company=COMPANY, candidate_id=derive("c"), account_id="other"))
    assert await world.pool.fetchval("select live from candidate") is True
    await world.tell(CashCandidateCleared(company=COMPANY, candidate_id=derive("c"), account_id=ACCOUNT))
    assert await world.pool.fetchval("select live from candidate") is False


async def test_lists_of_contacts_arrive_as_they_were(world: World) -> None:
    await world.tell(contact(channels=["email", "phone"], consents=[]), contact("A-2", channels=[], consents=["cease"]))
    rows = await world.pool.fetch("select channels, consents from contact order by account_id")
    assert [tuple(row) for row in rows] == [(["email", "phone"], []), ([], ["cease"])]


async def test_a_refused_address_is_refused_until_another_comes(world: World) -> None:
    await world.tell(contact())
    await world.pool.execute("update contact set refused = true")
    await world.tell(contact(name="Same Address"))
    assert await world.pool.fetchval("select refused from contact") is True
    await world.tell(contact(email="other@debtor.example"))
    assert await world.pool.fetchval("select refused from contact") is False


async def test_two_claimants_never_hold_the_same_notice(world: World) -> None:
    await world.tell(*(notice(f"n-{n}") for n in range(50)))
    first, second = await asyncio.gather(claim(world, limit=30), claim(world, "two", limit=30))
    taken = [row["notice_id"] for row in first + second]
    assert len(taken) == len(set(taken))
    assert len(taken) in (30, 50)  # the rows that one looks at are skipped by the other
    left = await claim(world, "three")
    assert len(taken) + len(left) == 50
    assert await claim(world, "four") == []


async def test_a_claim_ends_with_its_lease_and_counts(world: World) -> None:
    await world.tell(notice())
    (first,) = await claim(world)
    assert await claim(world, "two") == []
    (second,) = await claim(world, "two", wall_now=world.runtime.clock.now() + timedelta(seconds=61))
    assert (first["claims"], second["claims"]) == (1, 2)


async def test_whoever_lost_the_claim_can_no_longer_let_a_notice_go(world: World) -> None:
    await world.tell(account(), contact(), item(), notice())
    await world.tick()
    moment = await world.runtime.unit.control.moment(world.pool)
    (lost,) = await claim(world)
    (held,) = await claim(world, "two", wall_now=world.runtime.clock.now() + timedelta(seconds=61))
    effects = await tell(world.runtime, [world.mailer._judge(lost, moment, binding=True)])
    assert (effects.emissions, effects.rows.letters) == ([], {})
    effects = await tell(world.runtime, [world.mailer._judge(held, moment, binding=True)])
    assert [e.data.TYPE for e in effects.emissions] == ["notice.sending"]


async def test_what_a_tick_has_judged_is_claimed_at_the_next_only(world: World) -> None:
    await world.tell(notice())
    await world.pool.execute("update notice set judged_at_number = 7")
    assert await claim(world, number=7) == []
    assert len(await claim(world, number=8)) == 1


async def test_the_gate_waits_for_a_batch_that_writes_the_same_account(world: World) -> None:
    async def lock() -> None:
        async with world.pool.acquire() as db, db.transaction():
            await store.lock_accounts(db, [(COMPANY, ACCOUNT)])

    await lock()
    async with world.pool.acquire() as db:
        async with db.transaction():
            await store.lock_accounts(db, [(COMPANY, ACCOUNT)])
            waiting = asyncio.create_task(lock())
            await asyncio.sleep(0.2)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 10)


async def test_one_transaction_locks_accounts_that_nobody_has_seen(world: World) -> None:
    async with world.pool.acquire() as db, db.transaction():
        await store.lock_accounts(db, [(COMPANY, "new-2"), (COMPANY, "new-1"), (COMPANY, "new-1")])
    assert await world.pool.fetchval("select count(*) from account_lock") == 2


class Counted:
    """A connection that counts what is asked of it."""

    def __init__(self, db: asyncpg.Connection) -> None:
        self.db, self.count = db, 0

    def __getattr__(self, name: str):
        method = getattr(self.db, name)

        async def counted(*arguments):
            self.count += 1
            return await method(*arguments)

        return counted if name in ("execute", "fetch", "fetchrow", "fetchval") else method


async def statements(world: World, *events) -> int:
    """Statements that one transaction runs for these events."""
    async with world.pool.acquire() as connection, connection.transaction():
        moment = await world.runtime.unit.control.moment(connection)
        db = Counted(connection)
        state = await world.runtime.handler.load(db, events, moment)
        effects = world.runtime.handler.decide(state, events, moment)
        await world.runtime.handler.save(db, effects)
        return db.count


async def test_the_number_of_statements_does_not_grow_with_the_batch(world: World) -> None:
    await world.tick()

    def facts(count: int, start: int):
        for n in range(start, start + count):
            name = f"B-{n}"
            yield event(account(name))
            yield event(contact(name))
            yield event(item(account_id=name))
            yield event(notice(account_id=name, items=[noted(account_id=name)]))

    assert await statements(world, *facts(1, 0)) == await statements(world, *facts(60, 1)) == 6


async def test_judging_takes_the_same_statements_for_one_notice_and_for_many(world: World) -> None:
    counts = []
    for start, count in ((0, 1), (1, 40)):
        for n in range(start, start + count):
            name = f"B-{n}"
            await world.tell(
                account(name), contact(name), item(account_id=name),
                notice(account_id=name, items=[noted(account_id=name)]),
            )  # fmt: skip
        await world.tick()
        claimed = await claim(world)
        moment = await world.runtime.unit.control.moment(world.pool)
        judged = [world.mailer._judge(c, moment, binding=True) for c in claimed]
        assert len(judged) == count
        counts.append(await statements(world, *judged))
    assert counts[0] == counts[1] == 13


async def test_the_days_marker_waits_for_what_was_due_in_it(world: World) -> None:
    await world.tick(MORNING - timedelta(hours=12))
    await world.tell(account(), contact(), item(), notice(), hold())
    await world.tick()
    work = DayWork(
        company=COMPANY, date=FRIDAY, number=1, phase=2,
        bodies={"ar.ledger": {"at": (MORNING - timedelta(minutes=30)).isoformat()}},
    )  # fmt: skip
    with pytest.raises(Transient, match="2 notices"):
        await apply_alone(world.pool, world.runtime.unit, [event(work, company=COMPANY, event_type="day.work")])
    await world.pool.execute("update notice set status = 'withheld'")
    await world.pool.execute("update effect set judged_at_number = 99")
    await apply_alone(world.pool, world.runtime.unit, [event(work, company=COMPANY, event_type="day.work")])
    async with world.pool.acquire() as db:
        totals = await world.runtime.handler.totals(db, work)
    assert totals == {"notices": {"withheld": 1}, "effects": {"due": 1}}
