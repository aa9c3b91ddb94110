"""The sample quarter through the real doors: files to ingest, actions to collections, ticks and day closes.

The next day's first fact is fed only after the last service's marker of the day before, so that equal inputs give
equal states at each day's close. Every command's key derives from what it does: a repeated feed changes nothing.
"""

import csv
import io
import json
import os
import tempfile
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import sample
from deploy.local import actions, summary
from deploy.local.client import Client, open_client
from deploy.local.errors import StackError
from deploy.local.paths import REPOSITORY
from deploy.local.state import StackInfo

DAYS_DEFAULT, SEED_DEFAULT = 60, 1
POLICIES = REPOSITORY / "deploy" / "policies"
OPEN_AT, MORNING_AT, AFTERNOON_AT = "06:00", "09:05", "16:05"
FAMILIES = {"debit_memo": "debit_memo", "credit_memo": "credit_memo"}
SAY_EVERY_DAYS = 10


@dataclass
class Book:
    """What the feeder has to remember: which document an id of the ERP is, and which dispute an action opened."""

    company: str
    documents: dict[str, tuple[str, str]] = field(default_factory=dict)
    disputes: dict[str, tuple[str, str]] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    refused: int = 0


@dataclass
class Timing:
    """Seconds from the first file to the settled pages, how many of them were spent waiting for markers, and how many
    of the sample's days this run fed."""

    total_s: float = 0.0
    waited_s: float = 0.0
    days: int = 0
    days_fed: int = 0


async def run_feed(info: StackInfo) -> bool:
    """Feed the sample and print the summary. False when the books do not reconcile or something is wrong."""
    days = int(os.environ.get("RECOUP_SAMPLE_DAYS", DAYS_DEFAULT))
    seed = int(os.environ.get("RECOUP_SAMPLE_SEED", SEED_DEFAULT))
    client = open_client(info)
    try:
        with tempfile.TemporaryDirectory(prefix="recoup-sample-") as folder:
            out = Path(folder) / "sample"
            sample.generate(seed, days, out)
            print(f"Sample of {days} business days, seed {seed}.", flush=True)
            book, timing = await feed_all(client, out)
            return await summary.show(client, out, book, timing)
    finally:
        await client.http.aclose()


async def feed_all(client: Client, out: Path) -> tuple[Book, Timing]:
    """Configure the company and feed every day of the sample in `out`."""
    began = monotonic()
    company = json.loads((out / "company.json").read_text(encoding="utf-8"))
    book = Book(company["company"])
    folders = sorted((out / "days").iterdir())
    await configure(client, company)
    done = (await client.progress("reporting"))["written_on"].get(book.company, "")
    if done:
        print(f"  the days up to {done} were fed before", flush=True)
    for number, folder in enumerate(folders, 1):
        if folder.name <= done:
            await recall_day(client, book, folder)
        else:
            await feed_day(client, company, book, out, folder)
        if number % SAY_EVERY_DAYS == 0 or number == len(folders):
            print(f"  {folder.name}: day {number} of {len(folders)}, {monotonic() - began:.0f} s", flush=True)
    fed = sum(folder.name > done for folder in folders)
    return book, Timing(monotonic() - began, client.waited_s, len(folders), fed)


async def configure(client: Client, company: dict[str, Any]) -> None:
    """Configure the company and activate every policy file of deploy/policies."""
    name = company["company"]
    body = {key: value for key, value in company.items() if key != "company"}
    await client.call("otto", "PUT", "ingest", f"/v1/companies/{name}", key=f"configure {body}", json=body)
    for path in sorted(POLICIES.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        await actions.activate_policy(client, name, path.stem, text, effective_on="2025-01-01")


async def feed_day(client: Client, company: dict[str, Any], book: Book, out: Path, folder: Path) -> None:
    """One business day: rates, files, the morning's tick, what people do, the close and everything behind it."""
    day = folder.name
    zone = ZoneInfo(company["time_zone"])
    await _tick(client, day, OPEN_AT, zone)
    rates = out / "rates" / f"{day}.json"
    if rates.exists():
        body = {"rates": json.loads(rates.read_text(encoding="utf-8"))}
        path = f"/v1/companies/{book.company}/rates"
        await client.call("otto", "POST", "ingest", path, key=f"rates {book.company} {day}", json=body)
    for path in sorted(folder.iterdir()):
        if path.name != "actions.json":
            await feed_file(client, book, path)
    await client.until_judged(book.company, await _tick(client, day, MORNING_AT, zone))
    await actions.perform(client, book, json.loads((folder / "actions.json").read_text(encoding="utf-8")))
    await client.until_judged(book.company, await _tick(client, day, AFTERNOON_AT, zone))
    await _close(client, book.company, day)


async def recall_day(client: Client, book: Book, folder: Path) -> None:
    """Learn again what a day brought that was fed by an earlier run; nothing is changed by it."""
    for path in sorted(folder.iterdir()):
        if path.name != "actions.json":
            _remember(book, path, path.read_bytes())
    await actions.recall(client, book, json.loads((folder / "actions.json").read_text(encoding="utf-8")))


async def feed_file(client: Client, book: Book, path: Path) -> dict[str, Any]:
    """Push one file and wait until its facts are written; remembers the documents that it brings."""
    content = path.read_bytes()
    types = {".csv": "text/csv", ".xml": "application/xml", ".json": "application/json"}
    receipt = await client.call(
        "feeder",
        "POST",
        "ingest",
        f"/v1/companies/{book.company}/submissions?file_name={path.name}&wait=true",
        key=f"file {book.company} {path.parent.name} {path.name}",
        content=content,
        headers={"Content-Type": types[path.suffix]},
    )
    _remember(book, path, content)
    return receipt


def _remember(book: Book, path: Path, content: bytes) -> None:
    if path.suffix == ".xml":
        return
    if path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
    else:
        rows = [{"document_type": r["record_type"], **r} for r in json.loads(content)["records"]]
    for row in rows:
        if row.get("source_document_id") and row.get("document_type") != "cancellation":
            family = FAMILIES.get(row["document_type"], "invoice")
            book.documents[row["source_document_id"]] = (row["source_system"], family)
            book.accounts[row["source_document_id"]] = row["account_id"]


async def _tick(client: Client, day: str, clock: str, zone: ZoneInfo) -> int:
    """Write a tick; 0 when the clock stands later already, since this part of the sample was fed before."""
    at = datetime.combine(date.fromisoformat(day), time.fromisoformat(clock), zone)
    body = {"at": at.isoformat()}
    try:
        answer = await client.call("feeder", "POST", "ingest", "/v1/clock", key=f"tick {body['at']}", json=body)
    except StackError as refusal:
        if "clock_goes_back" not in str(refusal):
            raise
        return 0
    return int(answer["number"] or 0)


async def _close(client: Client, company: str, day: str) -> None:
    await client.call(
        "feeder",
        "POST",
        "ingest",
        f"/v1/companies/{company}/days/close",
        key=f"close {company} {day}",
        json={"date": day},
    )
    await client.until_closed("reporting", company, day)
