"""The Kafka adapter, the only importer of aiokafka beside the topic admin. Every option is explicit.

aiokafka hands out records before the assigned-callback has ended and swallows what it raises, so records are gated
by generation: only partitions whose positions were loaded and sought in this generation are given on, and an error
in a callback stops the process.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata

from shared import metrics
from shared.bus.partitioner import partition_of
from shared.bus.port import LoadPositions, Outgoing, Partition, Positions, Record, out_of_range
from shared.errors import Leaving, Stop, Transient

log = logging.getLogger(__name__)
SEND_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
START_TIMEOUT_S = 60.0
ENDS_TIMEOUT_S = 4.0
COMMIT_EVERY_S = 1.0
NO_PARTITION = TopicPartition("", 0)


class KafkaSource:
    """A static member (`group_instance_id`) of a consumer group."""

    def __init__(
        self, bootstrap: str, group: str, topics: Sequence[str], instance: str, isolation: str = "read_uncommitted"
    ) -> None:
        self._topics = sorted(topics)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            group_instance_id=instance,
            client_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level=isolation,
            partition_assignment_strategy=(RangePartitionAssignor,),
            max_poll_records=500,
            max_poll_interval_ms=300_000,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
            request_timeout_ms=40_000,
            fetch_max_wait_ms=1_000,
            max_partition_fetch_bytes=1_048_576,
            retry_backoff_ms=100,
            metadata_max_age_ms=60_000,
        )
        self._ready: frozenset[Partition] = frozenset()
        self._halted: dict[Partition, str] = {}
        self.retried_at_s = float("-inf")
        self._failure: BaseException | None = None
        self._load: LoadPositions | None = None
        self._at: dict[Partition, int] = {}
        self._to_commit: dict[Partition, int] = {}
        self._committing: asyncio.Future[None] | None = None
        self._committed_at = float("-inf")

    async def start(self, load: LoadPositions) -> None:
        self._load = load
        self._consumer.subscribe(topics=self._topics, listener=_Listener(self))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._consumer.start()
        except (KafkaError, TimeoutError, OSError) as problem:
            raise Transient(f"Kafka does not answer ({problem}); check the bootstrap address") from problem

    async def fetch(
        self, max_records: int, timeout_s: float, only: frozenset[Partition] | None = None
    ) -> dict[Partition, list[Record]]:
        self._check()
        if not self._ready:
            await asyncio.sleep(min(timeout_s, 0.05))
        # aiokafka gives of all partitions when none is named.
        named = () if only is None else [TopicPartition(*p) for p in only] or [NO_PARTITION]
        try:
            raw = await self._consumer.getmany(*named, timeout_ms=int(timeout_s * 1000), max_records=max_records)
        except KafkaError as problem:
            raise Transient(f"fetching from Kafka failed: {problem}") from problem
        self._check()
        batch: dict[Partition, list[Record]] = {}
        for tp, messages in raw.items():
            partition = Partition(tp.topic, tp.partition)
            if partition in self._ready and messages and partition not in self._halted:
                batch[partition] = [Record(partition, m.offset, m.key, m.headers, m.value or b"") for m in messages]
                self._at[partition] = messages[-1].offset + 1
        return batch

    async def seek(self, positions: Positions) -> None:
        for partition, offset in positions.items():
            if partition in self._ready:
                self._consumer.seek(TopicPartition(*partition), offset)
                self._at[partition] = offset

    async def place(self, positions: Positions) -> None:
        mine = {partition: at for partition, at in positions.items() if partition in self._ready}
        try:
            async with asyncio.timeout(ENDS_TIMEOUT_S):
                await self._place(mine)
        except (KafkaError, TimeoutError) as problem:
            raise Transient(f"Kafka does not tell how far its partitions reach: {problem!r}") from problem

    async def _place(self, positions: Mapping[Partition, int | None]) -> None:
        """None is the beginning of the log. A halted partition is paused, so that nothing of it is fetched in vain."""
        lanes = [TopicPartition(*partition) for partition in positions]
        if not lanes:
            return
        begins = await self._consumer.beginning_offsets(lanes)
        ends = await self._consumer.end_offsets(lanes)
        for lane, (partition, position) in zip(lanes, positions.items(), strict=True):
            at = begins[lane] if position is None else position
            self._at[partition] = at
            if problem := out_of_range(partition, at, begins[lane], ends[lane]):
                await self.halt(partition, problem)
                continue
            self._halted.pop(partition, None)
            self._consumer.seek(lane, at)
            self._consumer.resume(lane)

    async def halt(self, partition: Partition, reason: str) -> None:
        self._halted[partition] = reason
        self._consumer.pause(TopicPartition(*partition))

    def halted(self) -> dict[Partition, str]:
        return dict(self._halted)

    async def commit(self, positions: Positions) -> None:
        """A lag indicator only: kept, and sent at most once a second in the background, never awaited."""
        self._to_commit.update(positions)
        busy = self._committing is not None and not self._committing.done()
        if busy or time.monotonic() - self._committed_at < COMMIT_EVERY_S:
            return
        self._committed_at = time.monotonic()
        self._committing = asyncio.ensure_future(self._commit_kept())

    async def _commit_kept(self) -> None:
        kept, self._to_commit = self._to_commit, {}
        offsets = {TopicPartition(*p): OffsetAndMetadata(at, "") for p, at in kept.items() if p in self._ready}
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except KafkaError as problem:
            log.debug("the lag indicator was not committed: %s", problem)

    def assigned(self) -> frozenset[Partition]:
        return self._ready

    def lag(self) -> dict[Partition, int]:
        found = {}
        for partition in self._ready:
            end = self._consumer.highwater(TopicPartition(*partition))
            if end is not None:
                found[partition] = max(0, end - self._at.get(partition, end))
        return found

    async def ends(self) -> dict[Partition, int]:
        lanes = [TopicPartition(*p) for p in self._ready]
        if not lanes:
            return {}
        try:
            async with asyncio.timeout(ENDS_TIMEOUT_S):
                found = await self._consumer.end_offsets(lanes)
        except (KafkaError, TimeoutError) as problem:
            raise Transient(f"Kafka does not tell the ends of its partitions: {problem!r}") from problem
        return {Partition(lane.topic, lane.partition): end for lane, end in found.items()}

    async def stop(self) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                if self._committing is not None:
                    await asyncio.wait([self._committing])
                await self._commit_kept()
                self._ready = frozenset()
                await self._consumer.stop()
        except (KafkaError, TimeoutError) as problem:
            log.warning("the Kafka consumer did not stop in time: %s", problem)

    def _check(self) -> None:
        if isinstance(self._failure, Leaving):
            raise self._failure
        if self._failure is not None:
            raise Stop(f"positions could not be loaded after a rebalance: {self._failure}") from self._failure

    async def revoked(self) -> None:
        self._ready = frozenset()

    async def took(self, assigned: list[TopicPartition]) -> None:
        partitions = sorted(Partition(tp.topic, tp.partition) for tp in assigned)
        if not partitions or self._load is None:
            return
        positions = await self._load(partitions)
        self._halted = {}
        await self._place({partition: positions.get(partition) for partition in partitions})
        self._ready = frozenset(partitions)
        metrics.REBALANCES.inc()


class _Listener(ConsumerRebalanceListener):
    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._source.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        try:
            await self._source.took(list(assigned))
        except BaseException as problem:  # aiokafka would log and swallow it
            self._source._failure = problem  # noqa: SLF001
            raise


class KafkaSink:
    """An idempotent producer. After a failed send the same producer is kept and its old futures are awaited first."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap, self._client_id = bootstrap, client_id
        self._producer: AIOKafkaProducer | None = None
        self._in_flight: list[asyncio.Future] = []

    async def start(self) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=0,
            max_batch_size=131_072,
            max_request_size=4_194_304,
            request_timeout_ms=10_000,
            retry_backoff_ms=100,
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._producer.start()
        except (KafkaError, TimeoutError, OSError) as problem:
            raise Transient(f"Kafka does not answer ({problem}); check the bootstrap address") from problem

    async def send(self, records: Sequence[Outgoing]) -> None:
        if self._producer is None:
            await self.start()
        assert self._producer is not None
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._settle_old()
                for partition, together in (await self._by_partition(records)).items():
                    await self._send_together(partition, together)
                await asyncio.gather(*(asyncio.shield(future) for future in self._in_flight))
                self._in_flight.clear()
        except TimeoutError as problem:
            raise Transient("Kafka did not acknowledge in time; the rows stay in the outbox") from problem
        except KafkaError as problem:
            await self._replace(problem)
            raise Transient(f"Kafka refused a record: {problem}") from problem

    async def _by_partition(self, records: Sequence[Outgoing]) -> dict[Partition, list[Outgoing]]:
        """The records in their order; a key chooses its partition as every Kafka client does."""
        assert self._producer is not None
        counts = {topic: len(await self._producer.partitions_for(topic)) for topic in {r.topic for r in records}}
        found: dict[Partition, list[Outgoing]] = {}
        for r in records:
            number = partition_of(r.key or b"", counts[r.topic]) if r.number is None else r.number
            found.setdefault(Partition(r.topic, number), []).append(r)
        return found

    async def _send_together(self, partition: Partition, records: Sequence[Outgoing]) -> None:
        """Whole batches cost a fraction of one send per record; one that is full goes before the next is begun."""
        assert self._producer is not None
        batch = self._producer.create_batch()
        for r in records:
            if not _added(batch, r):
                await self._send_batch(batch, partition)
                batch = self._producer.create_batch()
                if not _added(batch, r):
                    raise ValueError(f"an empty batch does not take a record of {len(r.value)} bytes")
        await self._send_batch(batch, partition)

    async def _send_batch(self, batch: BatchBuilder, partition: Partition) -> None:
        assert self._producer is not None
        batch.close()
        self._in_flight.append(await self._producer.send_batch(batch, partition.topic, partition=partition.number))

    async def _settle_old(self) -> None:
        """A record of an earlier, timed-out send may still be on its way; nothing overtakes it."""
        old, self._in_flight = self._in_flight, []
        try:
            await asyncio.gather(*(asyncio.shield(future) for future in old), return_exceptions=True)
        except asyncio.CancelledError:
            self._in_flight = [future for future in old if not future.done()]
            raise

    async def _replace(self, problem: KafkaError) -> None:
        log.warning("the Kafka producer is replaced after %s", problem)
        await self.stop()

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        self._in_flight.clear()
        if producer is None:
            return
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await producer.stop()
        except (KafkaError, TimeoutError) as problem:
            log.warning("the Kafka producer did not stop in time: %s", problem)


def _added(batch: BatchBuilder, record: Outgoing) -> bool:
    """False when the batch is full. An empty one takes a record of any size."""
    added = batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
    return added is not None
