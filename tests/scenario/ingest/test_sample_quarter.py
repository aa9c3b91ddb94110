"""Days of the sample through the door: every document and bank line becomes one event, twice fed changes nothing.

With keys a repeated file is known. By content alone, master data that changed go through their states once more.
"""

import json
import os
from collections import Counter
from datetime import UTC, date, datetime, time
from pathlib import Path

from sample.quarter import generate
from shared.calendars import through_days_off
from tests.store.ingest.conftest import Door, MakeDoor

DAYS = int(os.environ.get("RECOUP_SAMPLE_DAYS", "6"))
STATES = """
select account_id, state::text from account union all select part, state::text from account_part
union all select document_id::text, material || cancelled from document order by 1
"""


async def feed(door: Door, folder: Path, counts: Counter[str], *, keys: bool = True) -> None:
    for path in sorted(folder.iterdir()):
        if path.name != "actions.json":
            receipt = await door.sent(path.read_bytes(), key=f"{folder.name} {path.name}" if keys else "")
            counts.update({} if receipt["known"] else receipt["counts"])


async def test_the_sample_goes_through_the_door_whole_and_twice(make_door: MakeDoor, tmp_path: Path) -> None:
    truth = generate(5, DAYS, tmp_path / "sample")
    company = json.loads((tmp_path / "sample" / "company.json").read_text())
    door = await make_door()
    folders = sorted((tmp_path / "sample" / "days").iterdir())
    await door.tick(datetime.combine(date.fromisoformat(folders[0].name), time(5), UTC))
    await door.configure(**{name: value for name, value in company.items() if name != "company"})
    counts: Counter[str] = Counter()
    for folder in folders:
        on = date.fromisoformat(folder.name)
        await door.tick(datetime.combine(on, time(6), UTC))
        await feed(door, folder, counts)
        await door.tick(datetime.combine(on, time(17), UTC))
        assert (await door.close(folder.name)).status_code == 200
    events = await door.events()
    kinds = Counter(e.type for e in events)
    assert counts["held"] == 0 and kinds["statement.received"] == truth.expected["statements"]
    assert kinds["payment.received"] == truth.expected["payments"]
    assert kinds["record.quarantined"] == kinds["record.released"]
    first = (len(events), kinds)
    states = await door.fetch(STATES)
    for folder in folders:
        await feed(door, folder, counts)
    again = await door.events()
    assert (len(again), Counter(e.type for e in again)) == first
    for folder in folders:
        await feed(door, folder, counts, keys=False)
    more = Counter(e.type for e in await door.events()) - kinds
    assert set(more) <= {"account.updated", "contact.updated"} and sum(more.values()) % 2 == 0, "there and back"
    assert await door.fetch(STATES) == states
    reach = (await door.get("")).json()["complete_through_on"]
    last = through_days_off(date.fromisoformat(folders[-2].name), "XECB")
    assert set(reach.values()) == {str(last)}
