"""The event log as an auditor reads it: headers and JSON, with nothing of the services. Duplicates are told apart."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MARKERS = ("clock.ticked", "day.closed")


@dataclass(frozen=True)
class Seen:
    """One record. `index` is its place in the order in which everything was appended."""

    index: int
    topic: str
    partition: int
    id: str
    type: str
    source: str
    key: str
    sequence: int
    business_date: str
    known_at: datetime
    causation_id: str
    value: bytes

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.value)


class Log:
    """`all` as appended, `facts` the first of each id. Raises ValueError when one id says two things."""

    def __init__(self, records: Iterable[Any]) -> None:
        self.all = [_seen(n, record) for n, record in enumerate(records)]
        first: dict[str, Seen] = {}
        self.facts: list[Seen] = []
        for seen in self.all:
            known = first.setdefault(seen.id, seen)
            if known is seen:
                self.facts.append(seen)
            elif (known.value, known.sequence, known.key) != (seen.value, seen.sequence, seen.key):
                raise ValueError(f"{seen.type} {seen.id} was sent with two contents")

    def of(self, *types: str, source: str = "") -> list[Seen]:
        """Facts of these types, or whose type begins with one that ends with a dot."""
        return [s for s in self.facts if _is(s.type, types) and (not source or s.source == source)]

    def before_close(self, topic: str, day: str) -> list[Seen]:
        """Facts that lie before the marker of the day in their partition."""
        closed = {
            s.partition: s.index for s in self.facts
            if s.topic == topic and s.type == "day.closed" and s.data["date"] == day
        }  # fmt: skip
        return [s for s in self.facts if s.topic == topic and s.type not in MARKERS
                and s.index < closed.get(s.partition, -1)]  # fmt: skip

    def digest(self) -> str:
        """Hash of everything that was appended, in order."""
        found = hashlib.sha256()
        for s in self.all:
            found.update(f"{s.topic}/{s.partition}/{s.key}/{s.id}/{s.type}/{s.sequence}/".encode() + s.value)
        return found.hexdigest()


def _is(name: str, types: tuple[str, ...]) -> bool:
    return any(name == t or (t.endswith(".") and name.startswith(t)) for t in types)


def _seen(index: int, record: Any) -> Seen:
    found = {name: value.decode() for name, value in record.headers}
    return Seen(
        index=index,
        topic=record.partition.topic,
        partition=record.partition.number,
        id=found["ce_id"],
        type=found["ce_type"],
        source=found["ce_source"],
        key=(record.key or b"").decode(),
        sequence=int(found["ce_sequence"] or 0),
        business_date=found["ce_businessdate"],
        known_at=datetime.fromisoformat(found["ce_knownat"]),
        causation_id=found["ce_causationid"],
        value=record.value,
    )
