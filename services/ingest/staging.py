"""From a stored file to staged records: the reader runs in a thread, batch by batch, so that memory stays bounded."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.ingest.domain.bank_lines import line_key
from services.ingest.domain.days import first_bank_day
from services.ingest.formats.detect import Format, detect
from services.ingest.formats.records import BANK_KINDS, MASTER_KINDS, FormatError, RawRecord
from services.ingest.store import submissions

BATCH_RECORDS = 2_000
NUL = "\\u0000"
MayWrite = Callable[[str], bool]


@dataclass(slots=True)
class Staged:
    """What reading found. `bank_from_on`: the first day that any of its bank data touches."""

    format_name: str = ""
    records: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    bank_from_on: date | None = None

    @property
    def master_data(self) -> bool:
        return bool(self.kinds) and set(self.kinds) <= set(MASTER_KINDS)


class _Rows:
    """Rows for COPY of one file, numbering its records and the equal lines of each statement."""

    def __init__(self, submission_id: UUID, form: Format, path: Path, may_write: MayWrite, found: Staged) -> None:
        self._submission_id, self._may_write, self._found = submission_id, may_write, found
        self._records = form.records(path)
        self._equal: Counter[tuple[int, str]] = Counter()

    def batch(self) -> list[tuple[Any, ...]]:
        """The next rows, empty at the end. Runs in a thread."""
        return [self._row(record) for record in islice(self._records, BATCH_RECORDS)]

    def _row(self, record: RawRecord) -> tuple[Any, ...]:
        found = self._found
        found.records += 1
        found.kinds[record.kind] += 1
        if not self._may_write(record_type_of(record.kind)):
            reason = f"this feed may not write records of type {record_type_of(record.kind)!r}"
            raise FormatError("record_type_forbidden", record.place, reason)
        body = orjson.dumps(record.body).decode()
        if NUL in body:
            raise FormatError("not_text", record.place, "the record holds a NUL character; it is not text")
        key, nth, rank = "", 0, 1
        if record.kind == "bank_line":
            key = line_key(record.body)
            self._equal[record.group, key] += 1
            nth = self._equal[record.group, key]
        elif record.kind == "statement":
            rank = 0
        if (first := first_bank_day(record.kind, record.body)) is not None:
            found.bank_from_on = min(found.bank_from_on or first, first)
        return (self._submission_id, rank, found.records, record.group, record.kind, record.place, body, key, nth)


def record_type_of(kind: str) -> str:
    """Record type by the names that keys of feeds use; statements and their lines are one."""
    return "bank_statement" if kind in BANK_KINDS else kind


async def stage_file(
    db: asyncpg.Connection, submission_id: UUID, path: Path, content_type: str, may_write: MayWrite
) -> Staged:
    """Stage every record of the file. Raises FormatError; what was staged until then is dropped by the caller."""
    found = Staged()
    form = await asyncio.to_thread(detect, path, content_type)
    found.format_name = form.name
    rows = _Rows(submission_id, form, path, may_write, found)
    while batch := await asyncio.to_thread(rows.batch):
        await submissions.stage(db, batch)
    return found
