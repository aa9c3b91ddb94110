"""A database that takes no writes for a while, as a standby does in a failover: everything waits, nothing is parked."""

import asyncpg

from tests.broker.conftest import Cluster
from tests.broker.test_members import drained, published


async def test_a_database_that_is_read_only_for_a_while_parks_nothing_and_ends_no_loop(cluster: Cluster) -> None:
    member = cluster.member(0)
    await cluster.configure()
    await cluster.feed(400)
    await cluster.until_total(400)
    admin = await asyncpg.connect(cluster.admin_dsn)
    await admin.execute(f"alter database {cluster.name} set default_transaction_read_only = on")
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", cluster.name)
    await cluster.feed(400)

    async def says_so() -> bool:
        return "ReadOnly" in member.runtime.failing.get("consumer", "")

    await cluster.until(says_so, timeout_s=20)
    assert not any(task.done() for task in member.tasks)
    await admin.execute(f"alter database {cluster.name} set default_transaction_read_only = off")
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", cluster.name)
    await admin.close()
    await cluster.until_total(800)
    await cluster.until(lambda: drained(cluster))
    assert await cluster.count("parked_key") == 0
    assert {tuple(s) for s in (await published(cluster)).values()} == {tuple(range(1, 21))}
