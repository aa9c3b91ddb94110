"""The drop folder: DROP_DIR/COMPANY/FILE is taken when it is complete, then moved to done/ or failed/ with its receipt.

A file is complete when its size and time stood still between two looks; names that begin with `.` or end in `.part`,
`.tmp` or `.filepart` are being written. Content decides what it is, and known content gets its first receipt.
A file that comes before its company is configured, or before the clock runs, stays and is taken then.
What waits keeps nothing else out: companies are taken in turn, and a file that had to wait comes behind the others.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from services.ingest import intake, receipts, upload
from services.ingest.intake import Incoming
from shared import metrics
from shared.errors import Rejected
from shared.problems import Problem
from shared.runtime.loops import forever

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

ACTOR = "feed:drop"
UNFINISHED = (".part", ".tmp", ".filepart", ".receipt.json")
FILES_PER_LOOK_MAX = 100
LATER = frozenset({"submission_in_progress", "clock_not_started", "company_unknown"})


@dataclass(slots=True)
class Watch:
    """Size and time of files at the last look; `waits`: why files of a company were left for later, told once.

    `late`: files that had to wait at their last try.
    """

    seen: dict[Path, tuple[int, int]] = field(default_factory=dict)
    waits: dict[str, str] = field(default_factory=dict)
    late: set[Path] = field(default_factory=set)

    def complete(self, folder: Path) -> dict[str, list[Path]]:
        """Files that stood still since the last look, by company; in the order of their names, late ones last."""
        now = {path: (stat.st_size, stat.st_mtime_ns) for path in waiting(folder) if (stat := _stat(path))}
        found = [path for path, stamp in now.items() if self.seen.get(path) == stamp and stamp[0] > 0]
        self.seen, self.late = now, self.late & now.keys()
        self.waits = {company: code for company, code in self.waits.items() if (folder / company).is_dir()}
        by_company: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(found, key=lambda path: (path in self.late, path)):
            by_company[path.parent.name].append(path)
        return dict(sorted(by_company.items()))

    def put_off(self, runtime: "Runtime", company: str, code: str, file: Path) -> None:
        """Leave a file for later; the log is told when the reason is new for its company."""
        if self.waits.get(company) != code:
            self.waits[company] = code
            runtime.log.warning("file_waits", company=company, file=file.name, code=code)


def in_turn(companies: Iterable[list[Path]]) -> list[Path]:
    """One file of each company after the other, as many as one look takes."""
    files = chain.from_iterable(zip_longest(*companies))
    return [path for path in files if path is not None][:FILES_PER_LOOK_MAX]


def waiting(folder: Path) -> list[Path]:
    """Plain files directly in the companies' folders; links are left alone."""
    if not folder.is_dir():
        return []
    companies = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    return [path for company in companies for path in company.iterdir() if _is_finished(path)]


def _is_finished(path: Path) -> bool:
    return (
        path.is_file()
        and not path.is_symlink()
        and not path.name.startswith(".")
        and not path.name.endswith(UNFINISHED)
    )


def _stat(path: Path):  # noqa: ANN202
    try:
        return path.stat()
    except FileNotFoundError:
        return None


async def look(runtime: "Runtime", watch: Watch) -> int:
    """One look at the folder; returns the number of files taken or refused."""
    folder = runtime.settings.drop_dir
    found = await asyncio.to_thread(watch.complete, folder) if folder is not None else {}
    open_now = await _companies_open(runtime, watch, found)
    done = 0
    for path in in_turn(found[company] for company in open_now):
        done += await _take(runtime, watch, path)
    shut_out = {path for company, files in found.items() if company not in open_now for path in files}
    metrics.DROP_FILES_WAITING.set(len(shut_out | watch.late))
    return done


async def _companies_open(runtime: "Runtime", watch: Watch, found: dict[str, list[Path]]) -> list[str]:
    """Companies whose files can be taken now; files of the others wait, and no look is spent on them."""
    companies = []
    async with runtime.pool.acquire() as db:
        for company, files in found.items():
            try:
                await intake.at_the_door(runtime, db, company)
            except Rejected as refusal:
                watch.put_off(runtime, company, refusal.code, files[0])
            else:
                companies.append(company)
    return companies


async def _take(runtime: "Runtime", watch: Watch, path: Path) -> bool:
    company = path.parent.name
    watch.late.discard(path)
    try:
        content = await _receipt(runtime, path, company)
        watch.waits.pop(company, None)
    except FileNotFoundError:
        return False
    except PermissionError as problem:
        watch.late.add(path)
        watch.put_off(runtime, company, f"file_not_readable: {problem.strerror}", path)
        return False
    except (Rejected, Problem) as refusal:
        if refusal.code in LATER:
            watch.late.add(path)
            watch.put_off(runtime, company, refusal.code, path)
            return False
        message = getattr(refusal, "message", "") or refusal.detail
        content, ok = json.dumps({"state": "rejected", "code": refusal.code, "reason": message}, indent=1), False
    else:
        content, ok = content.model_dump_json(indent=1), content.state != "rejected"
    await asyncio.to_thread(_move, path, "done" if ok else "failed", content)
    return True


async def _receipt(runtime: "Runtime", path: Path, company: str):  # noqa: ANN202
    async with runtime.pool.acquire() as db:
        await intake.at_the_door(runtime, db, company)
    stored = await upload.store_blocks(runtime, _blocks(path), "", path.name)
    incoming = Incoming(company, ACTOR, "", stored.sha256, stored.size, "", path.name, lambda _: True)
    taken = await intake.submit(runtime, incoming, "drop folder")
    await intake.write_company(runtime, company)
    return await receipts.receipt(runtime, company, taken.submission_id, known=taken.known)


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := await asyncio.to_thread(file.read, upload.BLOCK_BYTES):
            yield block


def _move(path: Path, outcome: str, receipt: str) -> None:
    """The receipt first, so that a moved file always has one; a name that is there gets a number."""
    folder = path.parent / outcome
    folder.mkdir(exist_ok=True)
    target, number = folder / path.name, 1
    while target.exists():
        number += 1
        target = folder / f"{path.stem}.{number}{path.suffix}"
    (folder / f"{target.name}.receipt.json").write_text(receipt, encoding="utf-8")
    path.replace(target)


async def run(runtime: "Runtime", stop: asyncio.Event) -> None:
    """Loop of the role `worker`, where a drop folder is configured."""
    if runtime.settings.drop_dir is None:
        await stop.wait()
        return
    watch = Watch()
    await forever(
        runtime, "drop_folder", lambda: look(runtime, watch), until=stop, pause_s=runtime.settings.drop_every_s
    )
