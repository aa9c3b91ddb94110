"""The bus as a port: a `Source` of records and a `Sink` for them. Two adapters, one contract (tests/contract/bus).

Records carry ids in headers and keys; values are bytes. A source never moves anybody's position by itself.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

Headers = list[tuple[str, bytes]]


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
LoadPositions = Callable[[Sequence[Partition]], Awaitable[dict[Partition, int]]]


class Source(Protocol):
    """A member of a group. `load` gives the position of each partition that a new generation brings."""

    async def start(self, load: LoadPositions) -> None: ...

    async def fetch(self, max_records: int, timeout_s: float) -> dict[Partition, list[Record]]: ...

    async def seek(self, positions: Positions) -> None: ...

    async def commit(self, positions: Positions) -> None: ...

    def assigned(self) -> frozenset[Partition]: ...

    def lag(self) -> dict[Partition, int]: ...

    async def stop(self) -> None: ...


class Sink(Protocol):
    """Writes records. `send` returns when every record is acknowledged, in order per partition, or raises Transient."""

    async def start(self) -> None: ...

    async def send(self, records: Sequence[Outgoing]) -> None: ...

    async def stop(self) -> None: ...
