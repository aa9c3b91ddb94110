"""The Kafka adapter of `shared.bus.log`: partitions are assigned by hand, so the group of the service never notices."""

import asyncio
from collections.abc import Collection, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.bus.port import Partition, Positions, Record
from shared.errors import Stop, Transient

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
FETCH_BYTES_MAX = 4_194_304


class KafkaReader:
    """Every option that matters is explicit; `client` names the reader in the broker's log."""

    def __init__(self, bootstrap: str, client: str) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            client_id=client,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_uncommitted",
            max_poll_records=None,
            request_timeout_ms=40_000,
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            retry_backoff_ms=100,
        )
        self._held: set[TopicPartition] = set()
        self._begins: dict[Partition, int] = {}

    async def start(self, partitions: Sequence[Partition], *, whole: bool = True) -> None:
        """Begin at offset 0. Raises Stop when a partition no longer has it, or, if it need not be `whole`, begin where
        it begins."""
        wanted = [TopicPartition(*partition) for partition in sorted(partitions)]
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._consumer.start()
                begins = await self._consumer.beginning_offsets(wanted)
        except (KafkaError, TimeoutError, OSError) as problem:
            raise Transient(f"Kafka does not answer ({problem}); check the bootstrap address") from problem
        gone = sorted(f"{tp.topic}/{tp.partition} at {begin}" for tp, begin in begins.items() if begin)
        if gone and whole:
            raise Stop(f"the log no longer has its beginning: {', '.join(gone)}; it cannot be rebuilt from")
        self._begins = {Partition(tp.topic, tp.partition): begin for tp, begin in begins.items()}
        self._consumer.assign(wanted)
        for tp in wanted:
            self._consumer.seek(tp, begins[tp])

    async def fetch(self, max_records: int, timeout_s: float) -> dict[Partition, list[Record]]:
        try:
            raw = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        except KafkaError as problem:
            raise Transient(f"fetching from Kafka failed: {problem}") from problem
        found: dict[Partition, list[Record]] = {}
        for tp, messages in raw.items():
            partition = Partition(tp.topic, tp.partition)
            found[partition] = [Record(partition, m.offset, m.key, list(m.headers), m.value or b"") for m in messages]
        return found

    def hold(self, partitions: Collection[Partition]) -> None:
        wanted = {TopicPartition(*partition) for partition in partitions}
        if newly := wanted - self._held:
            self._consumer.pause(*newly)
        if freed := self._held - wanted:
            self._consumer.resume(*freed)
        self._held = wanted

    async def seek(self, positions: Positions) -> None:
        for partition, offset in positions.items():
            self._consumer.seek(TopicPartition(*partition), offset)

    def begins(self) -> dict[Partition, int]:
        return dict(self._begins)

    async def ends(self) -> dict[Partition, int]:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                found = await self._consumer.end_offsets(list(self._consumer.assignment()))
        except (KafkaError, TimeoutError, OSError) as problem:
            raise Transient(f"Kafka does not tell the ends of its logs ({problem})") from problem
        return {Partition(tp.topic, tp.partition): end for tp, end in found.items()}

    async def stop(self) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._consumer.stop()
        except (KafkaError, TimeoutError) as problem:
            raise Transient(f"the reader of the log did not stop in time: {problem}") from problem
