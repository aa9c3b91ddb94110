"""The drop folder: complete files only, moved with their receipts, known content told as such."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.ingest import drop_folder
from tests.fixtures.ingest.files import CUSTOMERS
from tests.store.ingest.conftest import COMPANY, Door, MakeDoor


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    (tmp_path / "drop" / COMPANY).mkdir(parents=True)
    return tmp_path / "drop"


async def open_door(make_door: MakeDoor, folder: Path) -> Door:
    door = await make_door(drop_dir=folder)
    await door.tick()
    await door.configure()
    return door


async def test_a_file_that_stands_still_is_taken_and_moved_with_its_receipt(make_door: MakeDoor, folder: Path) -> None:
    door, watch = await open_door(make_door, folder), drop_folder.Watch()
    path = folder / COMPANY / "customers.csv"
    path.write_bytes(CUSTOMERS[:40])
    assert await drop_folder.look(door.runtime, watch) == 0
    path.write_bytes(CUSTOMERS)
    (folder / COMPANY / "more.csv.part").write_bytes(b"half")
    assert await drop_folder.look(door.runtime, watch) == 0
    assert await drop_folder.look(door.runtime, watch) == 1
    receipt = json.loads((folder / COMPANY / "done" / "customers.csv.receipt.json").read_text())
    assert receipt["counts"] == {"written": 2} and receipt["actor"] == "feed:drop"
    assert (folder / COMPANY / "done" / "customers.csv").read_bytes() == CUSTOMERS
    assert sorted(p.name for p in (folder / COMPANY).iterdir() if p.is_file()) == ["more.csv.part"]


async def test_a_broken_file_goes_to_failed_with_the_line_and_the_same_file_again_is_known(
    make_door: MakeDoor, folder: Path
) -> None:
    door, watch = await open_door(make_door, folder), drop_folder.Watch()
    for name, content in (("a.csv", CUSTOMERS), ("b.csv", CUSTOMERS), ("c.csv", CUSTOMERS[:-30])):
        (folder / COMPANY / name).write_bytes(content)
    await drop_folder.look(door.runtime, watch)
    assert await drop_folder.look(door.runtime, watch) == 3
    second = json.loads((folder / COMPANY / "done" / "b.csv.receipt.json").read_text())
    broken = json.loads((folder / COMPANY / "failed" / "c.csv.receipt.json").read_text())
    assert second["known"] and broken["state"] == "rejected" and broken["place"] == "line 3"
    assert len(await door.facts("account.registered")) == 2


async def test_files_wait_until_the_clock_runs_and_their_company_is_configured(
    make_door: MakeDoor, folder: Path
) -> None:
    door, watch = await make_door(drop_dir=folder), drop_folder.Watch()
    path = folder / COMPANY / "customers.csv"
    path.write_bytes(CUSTOMERS)
    for _ in range(3):
        assert await drop_folder.look(door.runtime, watch) == 0
    assert watch.waits == {COMPANY: "company_unknown"} and path.exists()
    await door.configure()
    assert await drop_folder.look(door.runtime, watch) == 0
    assert watch.waits == {COMPANY: "clock_not_started"}
    assert not list(Path(door.runtime.settings.blob_dir).glob("??/*")), "a file that waits is not stored at each look"
    await door.tick()
    assert await drop_folder.look(door.runtime, watch) == 1
    assert json.loads((folder / COMPANY / "done" / "customers.csv.receipt.json").read_text())["state"] == "done"
    assert watch.waits == {}


async def test_a_nightly_export_that_returns_to_an_earlier_state_is_taken(make_door: MakeDoor, folder: Path) -> None:
    door, watch = await open_door(make_door, folder), drop_folder.Watch()
    stopped = CUSTOMERS.replace(b"Nordlicht", b"Suedlicht")
    for night, content in enumerate((CUSTOMERS, stopped, CUSTOMERS)):
        (folder / COMPANY / f"night-{night}.csv").write_bytes(content)
        await drop_folder.look(door.runtime, watch)
        assert await drop_folder.look(door.runtime, watch) == 1
    names = [e.name for e in await door.facts("account.registered", "account.updated") if e.account_id == "C-1001"]
    assert names[-1] == "Nordlicht Werft GmbH" and len(names) == 3
    last = json.loads((folder / COMPANY / "done" / "night-2.csv.receipt.json").read_text())
    assert not last["known"] and last["counts"] == {"written": 1, "known": 1}


async def test_files_that_wait_keep_no_other_companys_files_out(make_door: MakeDoor, folder: Path) -> None:
    door, watch = await open_door(make_door, folder), drop_folder.Watch()
    for stray in ("archive", "zz-typing-error"):
        (folder / stray).mkdir()
        for n in range(drop_folder.FILES_PER_LOOK_MAX):
            (folder / stray / f"{n:03d}.csv").write_bytes(CUSTOMERS)
    (folder / COMPANY / "customers.csv").write_bytes(CUSTOMERS)
    assert [await drop_folder.look(door.runtime, watch) for _ in range(3)] == [0, 1, 0]
    assert watch.waits == {"archive": "company_unknown", "zz-typing-error": "company_unknown"}
    assert REGISTRY.get_sample_value("recoup_drop_files_waiting") == 2 * drop_folder.FILES_PER_LOOK_MAX


async def test_a_file_that_cannot_be_read_keeps_no_other_file_out(
    make_door: MakeDoor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, watch = await open_door(make_door, folder), drop_folder.Watch()
    monkeypatch.setattr(drop_folder, "FILES_PER_LOOK_MAX", 1)
    for name in ("a.csv", "b.csv"):
        (folder / COMPANY / name).write_bytes(CUSTOMERS)
    opened = Path.open

    def forbidden(path: Path, *options: Any, **named: Any) -> Any:
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied")
        return opened(path, *options, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", forbidden)
        assert [await drop_folder.look(door.runtime, watch) for _ in range(4)] == [0, 0, 1, 0]
        assert REGISTRY.get_sample_value("recoup_drop_files_waiting") == 1
    assert [await drop_folder.look(door.runtime, watch) for _ in range(2)] == [1, 0]
    assert REGISTRY.get_sample_value("recoup_drop_files_waiting") == 0


def test_companies_are_taken_in_turn(tmp_path: Path) -> None:
    many, few = [tmp_path / "a" / str(n) for n in range(500)], [tmp_path / "b" / "1"]
    found = drop_folder.in_turn([many, few])
    assert found[:3] == [many[0], few[0], many[1]] and len(found) == drop_folder.FILES_PER_LOOK_MAX
