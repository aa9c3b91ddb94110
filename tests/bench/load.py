"""What the bench feeds to the simplest handler: the same small event again and again, each with an id of its own.

Only the id and the account differ, so that making a million of them costs seconds and nothing has to be kept.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from shared.bus.partitioner import partition_of
from shared.bus.port import Outgoing
from shared.events.catalogue import CONTROL, PARTITIONS
from shared.events.codec import Event
from shared.events.control import CompanyConfigured
from shared.ids import derive
from tests.builders import event, headers_and_value
from tests.store.runtime.toy import contact

ACCOUNTS = 2_000
EFFECTS = "ar.ledger"
COMPANY = CompanyConfigured(company="acme", base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB")


def configuration() -> Event:
    return event(COMPANY)


def contacts(count: int, *, first: int = 0, accounts: Sequence[int] = range(ACCOUNTS)) -> Iterator[Outgoing]:
    """`count` contacts of these accounts in turn, the `first` and following of one sequence of ids."""
    made = [event(contact(f"a{n}")) for n in accounts]
    parts = [headers_and_value(each) for each in made]
    bare = [[header for header in part["headers"] if header[0] != "ce_id"] for part in parts]
    for number in range(first, first + count):
        n = number % len(made)
        headers = [("ce_id", str(derive("bench-contact", number)).encode()), *bare[n]]
        yield Outgoing(made[n].topic, parts[n]["key"], headers, parts[n]["value"])


def accounts_in(partition: int) -> list[int]:
    """Those whose contacts lie in this partition."""
    return [n for n in range(ACCOUNTS) if partition_of(f"{COMPANY.company}/a{n}".encode(), PARTITIONS) == partition]


async def control_ends(bench: Any, pool: asyncpg.Pool) -> None:
    """Let the worker of this store begin behind what lies on the topic of configurations, and elsewhere at 0."""
    ends = await bench.ends([CONTROL])
    rows = [(p.topic, p.partition, end) for p, end in ends.items()]
    async with pool.acquire() as db:
        await db.copy_records_to_table("kafka_cursor", records=rows, columns=("topic", "partition", "next_offset"))
