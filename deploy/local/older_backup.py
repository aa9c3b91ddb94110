"""What the drill with an older backup looks at: what the store has lost, what is frozen for it, what leaves until then.

Invariant: what must be frozen is computed from the two stores alone, before the service has seen the log.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg

from deploy.local.client import Client
from deploy.local.event_log import read_log
from deploy.local.state import StackInfo
from shared.events.catalogue import CONTROL, MARKERS, TOPICS_OF
from shared.events.codec import Event

OPERATOR = "otto"
HEADS = "select key, sequence from stream_head where topic = any($1::text[]) and key not like '~%'"
FROZEN = "select key, account_id from parked_key where code = 'beyond_backup'"
ACTS = frozenset({"notice.requested", "notice.sending", "hold.proposed", "hold.ordered", "hold.renewed",
                  "effect.confirmed", "payment.applied", "write_off.posted", "refund.requested"})  # fmt: skip
"""What must not follow by itself for a frozen key: requests, mails, holds, postings."""


@dataclass
class Loss:
    """`expected`: keys of which the lost store had told more than the restored one has; `frozen`: those found frozen.

    `acts`: what the service did for them by itself until a person released them; `left`: keys parked after that.
    """

    expected: set[str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    acts: list[str] = field(default_factory=list)
    released: int = 0
    left: int = 0

    @property
    def passed(self) -> bool:
        return bool(self.expected) and self.expected <= self.frozen and not self.acts and not self.left

    def text(self) -> str:
        missing = sorted(self.expected - self.frozen)
        said = f"DID BY ITSELF {self.acts[:5]}" if self.acts else "no mail, hold or posting left for them by itself"
        found = f"NOT FROZEN: {missing[:5]}" if missing else "all are frozen"
        return (
            f"{len(self.expected)} keys had output beyond the backup, {found} ({len(self.frozen)} keys with their "
            f"payments); {said}; {self.released} were released, {self.left} of them stay parked"
        )


async def heads(dsn: str, service: str) -> dict[str, int]:
    """How far the store has told of each key of the service's own topics."""
    topics = [topic for topic in TOPICS_OF[service] if topic != CONTROL]
    connection = await asyncpg.connect(dsn)
    try:
        return {row["key"]: row["sequence"] for row in await connection.fetch(HEADS, topics)}
    finally:
        await connection.close()


def beyond(lost: Mapping[str, int], restored: Mapping[str, int]) -> set[str]:
    """Keys of accounts of which the lost store had told more. What has no account is frozen by its payment."""
    return {k for k, n in lost.items() if n > restored.get(k, 0) and not k.partition("/")[2].startswith("~")}


async def frozen_keys(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return {row["key"] for row in await connection.fetch(FROZEN)}
    finally:
        await connection.close()


async def acts_since(info: StackInfo, service: str, keys: set[str], since_s: float) -> list[str]:
    """What the service did for the keys since an instant of the wall clock, as the log has it."""
    log = await read_log(info.kafka_bootstrap)
    return [
        f"{event.type} {event.key}"
        for event in log.events
        if _is_act(event, service, keys) and log.written_ms.get(event.envelope.id, 0) >= since_s * 1000
    ]


def _is_act(event: Event, service: str, keys: set[str]) -> bool:
    return event.envelope.source == service and event.key in keys and event.type in ACTS and event.type not in MARKERS


async def release_all(client: Client, service: str) -> tuple[int, int]:
    """An operator releases everything that is parked, a hundred keys at a time. How many went, how many stay."""
    released, began = 0, time.time()
    while True:
        key = f"release {service} {began} {released}"
        answer = await client.call(OPERATOR, "POST", service, "/v1/runtime/parked/redrive", key=key)
        done = sum(each["result"] == "done" for each in answer["keys"])
        released += done
        if not answer["more"] or not done:
            return released, len(await client.listed(OPERATOR, service, "/v1/runtime/parked"))
