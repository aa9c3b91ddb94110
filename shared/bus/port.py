"""The bus as a port: a `Source` of records and a `Sink` for them. Two adapters, one contract (tests/contract/bus).

Records carry ids in headers and keys; values are bytes. A source never moves anybody's position by itself.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes]]


class Partition(NamedTuple):
    topic: str
    number: int


class Record(NamedTuple):
    """One record as it lies in the log."""

    partition: Partition
    offset: int
    key: bytes | None
    headers: Headers
    value: bytes


class Outgoing(NamedTuple):
    """One record to write; `number` None lets the key choose the partition."""

    topic: str
    key: bytes | None
    headers: Headers
    value: bytes
    number: int | None = None


Positions = Mapping[Partition, int]


def out_of_range(partition: Partition, position: int, begin: int, end: int) -> str:
    """What is wrong with a position in a log that reaches from `begin` to `end`; "" when nothing is."""
    where = f"{partition.topic}/{partition.number}: the cursor is {position},"
    if position > end:
        return f"{where} beyond the end {end} of the log; this store belongs to another log"
    if position < begin:
        return f"{where} before the beginning {begin} of the log; what lay between is gone from it"
    return ""


LoadPositions = Callable[[Sequence[Partition]], Awaitable[dict[Partition, int]]]


class Source(Protocol):
    """A member of a group. `load` gives the position of each partition that a new generation brings; one that it leaves
    out begins where the log begins. `retried_at_s`: when those that are halted were last tried, in monotonic time."""

    retried_at_s: float

    async def start(self, load: LoadPositions) -> None: ...

    async def fetch(
        self, max_records: int, timeout_s: float, only: frozenset[Partition] | None = None
    ) -> dict[Partition, list[Record]]:
        """Records that came, of the partitions `only` if they are named. Two may wait at a time, for others each."""
        ...

    async def seek(self, positions: Positions) -> None: ...

    async def place(self, positions: Positions) -> None:
        """`seek` that looks whether the log reaches there: a partition where it does not is halted, others go on."""
        ...

    async def halt(self, partition: Partition, reason: str) -> None:
        """Give nothing more of an assigned partition until it is placed again."""
        ...

    def halted(self) -> dict[Partition, str]:
        """Why, per assigned partition that gives nothing."""
        ...

    async def commit(self, positions: Positions) -> None: ...

    def assigned(self) -> frozenset[Partition]: ...

    def lag(self) -> dict[Partition, int]: ...

    async def ends(self) -> dict[Partition, int]:
        """End of the log of each assigned partition, asked now and beside the fetching. Raises Transient."""
        ...

    async def stop(self) -> None: ...


class Sink(Protocol):
    """Writes records. `send` returns when every record is acknowledged, in order per partition, or raises Transient."""

    async def start(self) -> None: ...

    async def send(self, records: Sequence[Outgoing]) -> None: ...

    async def stop(self) -> None: ...
