"""Bounds: statements per chunk, size of a file, crash between reading and writing, two writers at once."""

import asyncio
from typing import Any

import asyncpg
import pytest

from services.ingest import intake
from services.ingest.store import submissions
from shared.runtime import failpoints
from tests.fixtures.ingest.files import CUSTOMERS, Line, camt, documents, invoice, statement
from tests.store.ingest.conftest import BASE, Door, MakeDoor


async def chunk_statements(door: Door, content: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """SQL statements of the one chunk that writes a file."""
    await door.send(content, wait=False)
    seen: list[str] = []
    with monkeypatch.context() as patch:
        for name in ("execute", "fetch", "fetchrow", "fetchval"):
            original = getattr(asyncpg.Connection, name)

            async def counted(self: Any, query: str, *args: Any, _original: Any = original, **options: Any) -> Any:
                seen.append(query)
                return await _original(self, query, *args, **options)

            patch.setattr(asyncpg.Connection, name, counted)
        assert await intake.write_chunk(door.runtime, "vdr-eu")
    return len(seen)


async def test_statements_per_chunk_do_not_depend_on_its_size(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await door.sent(CUSTOMERS)
    few = await chunk_statements(door, documents(invoice("a")), monkeypatch)
    many = await chunk_statements(door, documents(*(invoice(str(n)) for n in range(1500))), monkeypatch)
    assert few == many <= 20
    one = await chunk_statements(door, camt(statement("0.00", [Line("1.00", "x")], number="1")), monkeypatch)
    lines = [Line("1.00", f"x{n}", on="2026-01-06") for n in range(1500)]
    two = await chunk_statements(door, camt(statement("1.00", lines, number="2", on="2026-01-06")), monkeypatch)
    assert one == two <= 30


async def test_a_file_over_the_limit_is_refused_before_it_is_whole(make_door: MakeDoor) -> None:
    door = await make_door(file_bytes_max=100_000)
    await door.tick()
    await door.configure()
    answer = await door.send(b"x" * 150_000)
    assert answer.status_code == 413
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 65_536
            yield b"y" * 65_536

    answer = await door.client.post(f"{BASE}/submissions", content=endless(), headers=door.headers("feed"))
    assert answer.status_code == 413 and sent < 1_000_000


async def test_a_broken_file_leaves_nothing_but_its_receipt(door: Door) -> None:
    rows = [invoice(str(n)) for n in range(3000)]
    answer = await door.send(documents(*rows)[:-40])
    assert answer.status_code == 422 and answer.json()["code"] == "row_length"
    assert answer.json()["detail"].startswith("line 3001: ")
    assert await door.fetch("select from staged_record") == [] and len(await door.events()) == 1
    receipt = (await door.get(f"/submissions/{answer.json()['facts']['submission_id']}")).json()
    assert receipt["state"] == "rejected" and receipt["place"] == "line 3001"


async def test_a_crash_while_reading_is_mended_by_sending_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        async def broken(*_: Any) -> None:
            raise ConnectionResetError("the power went")

        patch.setattr(submissions, "accept", broken)
        assert (await door.send(CUSTOMERS)).status_code >= 500
    assert [row["state"] for row in await door.fetch("select state from submission")] == ["receiving"]
    assert (await door.sent(CUSTOMERS))["counts"] == {"written": 2}


async def test_a_crash_between_chunks_loses_and_doubles_nothing(
    make_door: MakeDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = await make_door(chunk_records=10)
    await door.tick()
    await door.configure()
    await door.sent(CUSTOMERS)
    await door.send(documents(*(invoice(str(n)) for n in range(35))), wait=False)
    await intake.write_chunk(door.runtime, "vdr-eu")

    class Killed(BaseException):
        """The end of a process, which no handler of errors sees."""

    async def kill() -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setitem(failpoints.armed, "transaction.saved", kill)
        await intake.write_chunk(door.runtime, "vdr-eu")
    await asyncio.gather(*(intake.write_company(door.runtime, "vdr-eu") for _ in range(3)))
    issued = [e.envelope.id for e in await door.events("invoice.issued")]
    assert len(issued) == len(set(issued)) == 35


async def test_the_same_file_from_two_senders_at_once_is_taken_once(door: Door) -> None:
    answers = await asyncio.gather(*(door.send(CUSTOMERS) for _ in range(4)))
    assert {a.status_code for a in answers} <= {200, 202, 409}
    assert len(await door.facts("account.registered")) == 2
