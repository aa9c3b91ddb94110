"""Replicas of one service on a real broker: work is shared, order per key holds, and back to one without a loss."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

from shared.bus.port import Outgoing
from shared.events.catalogue import PARTITIONS, TOPICS_OF
from shared.events.codec import encode
from shared.events.markers import DayClosed
from shared.ids import derive
from shared.runtime import loops, markers
from tests.broker.conftest import Cluster
from tests.broker.test_members import drained, published

PARTS, PART_S = 12, 0.15
BY_COUNT = {1: PARTITIONS, 2: PARTITIONS // 2, 3: PARTITIONS // 3}


async def close_day(cluster: Cluster, number: int) -> None:
    """The marker of ingest in every partition of its topics."""
    day = date(2026, 1, 4 + number)
    marker = DayClosed(
        marker_id=derive("marker", number), number=number, company="acme", date=day,
        at=datetime(2026, 1, 4 + number, 17, 0, tzinfo=UTC),
    )  # fmt: skip
    value = encode(marker)
    records = []
    for topic in TOPICS_OF["ingest"]:
        for n in range(PARTITIONS):
            row = markers._marker_row("ingest", topic, n, marker, value, "acme", marker.at, day)  # noqa: SLF001
            records.append(Outgoing(topic, str(n).encode(), row.envelope.to_headers(), value, n))
    await cluster.sink.send(records)


async def shared_out(cluster: Cluster, count: int) -> None:
    """Every member that lives has its share of each topic."""

    async def fair() -> bool:
        living = [m for m in cluster.members if not all(task.done() for task in m.tasks)]
        topics = {p.topic for m in living for p in m.source.assigned()}
        shares = [Counter(p.topic for p in m.source.assigned()) for m in living]
        return len(living) == count and all(s == dict.fromkeys(topics, BY_COUNT[count]) for s in shares)

    await cluster.until(fair, timeout_s=40)


async def test_three_replicas_share_partitions_and_facts_and_one_takes_all_back(cluster: Cluster) -> None:
    cluster.member(0)
    await cluster.configure()
    await cluster.feed(1_000)
    second, third = cluster.member(1), cluster.member(2)
    await cluster.feed(1_000)
    await shared_out(cluster, 3)
    await cluster.feed(1_000)
    await cluster.until_total(3_000)
    await asyncio.gather(second.stop(), third.stop())
    await cluster.feed(1_000)
    await cluster.until_total(4_000)
    await shared_out(cluster, 1)
    await cluster.until(lambda: drained(cluster))
    assert await cluster.total() == 4_000
    assert {tuple(s) for s in (await published(cluster)).values()} == {tuple(range(1, 101))}


async def test_replicas_share_the_parts_of_a_days_work_and_none_is_done_twice(
    cluster: Cluster, monkeypatch: Any
) -> None:
    """Each part takes a moment, as it does in a company with many accounts."""
    done: Counter[int] = Counter()
    original = loops.day_part_once

    async def noted(runtime: Any) -> int:
        found = await original(runtime)
        done[id(runtime)] += found
        return found

    load = cluster.handler.load

    async def slow(db: Any, events: Any, moment: Any) -> Any:
        if any(each.type == "day.work" for each in events):
            await asyncio.sleep(PART_S)
        return await load(db, events, moment)

    monkeypatch.setattr(loops, "day_part_once", noted)
    monkeypatch.setattr(cluster.handler, "load", slow)
    monkeypatch.setattr(type(cluster.handler), "day_parts", PARTS)
    for instance in range(3):
        cluster.member(instance)
    await cluster.configure()
    await shared_out(cluster, 3)
    await cluster.feed(200)
    await cluster.until_total(200)
    await close_day(cluster, 1)

    async def written() -> bool:
        return await cluster.count("marker", "state = 'written' and type = 'day.closed'") == 1

    await cluster.until(written)
    parts = Counter((work.phase, work.part) for work in cluster.handler.days)
    assert parts == {**{(1, n): 1 for n in range(PARTS)}, (2, 0): 1}
    assert done.total() == PARTS + 1
    assert done.most_common(2)[-1][1] > 1, "one replica did it all"
