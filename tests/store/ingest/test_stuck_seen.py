"""A stuck submission is seen by those who watch, and an operator's redrive brings it in: nothing of it is lost."""

import pytest
from prometheus_client import REGISTRY

from services.ingest import intake
from services.ingest.main import build
from shared.runtime import operating
from shared.runtime.gauges import gauges_once
from tests.fixtures.ingest.files import CUSTOMERS, documents, invoice
from tests.store.ingest.conftest import Door
from tests.store.ingest.test_stuck import broken_document, parked

__all__ = ["broken_document"]


async def figure(door: Door) -> float | None:
    await gauges_once(door.runtime, None)
    return REGISTRY.get_sample_value("recoup_parked_keys")


async def redrive(door: Door) -> int:
    """`make redrive SERVICE=ingest`, then what the running service does by itself."""
    code = await operating.redrive(build(door.runtime.settings), door.runtime, operating.ALL)
    await intake.write_all(door.runtime)
    return code


async def told(door: Door, what: str) -> dict:
    answer = await door.client.get(f"/v1/runtime/{what}", headers=door.headers("olga"))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def keys(door: Door) -> list[dict]:
    return (await told(door, "parked"))["items"]


async def test_a_stuck_submission_is_seen_and_a_redrive_after_the_fix_brings_it_in(
    door: Door, broken_document: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    await door.sent(CUSTOMERS)
    assert await figure(door) == 0
    receipt = (await door.send(documents(invoice("13")))).json()
    assert receipt["code"] == "stuck"

    assert await figure(door) == 1
    assert (await told(door, "progress"))["parked_keys"] == 1
    (key,) = await keys(door)
    assert (key["company"], key["account_id"], key["code"]) == ("vdr-eu", None, "stuck")
    assert key["key"].startswith("vdr-eu/submission/") and key["error"].startswith("RuntimeError")
    assert "R-13" not in key["error"], "what was in the data is in no answer to an operator"
    assert len(await parked(door, 1)) == 1, "every tick names it"

    await redrive(door)
    assert await figure(door) == 1 and len(await keys(door)) == 1, "it fails again and stays seen"

    broken_document.undo()
    assert await redrive(door) == 0
    assert "1 that were stuck are tried again" in capsys.readouterr().out
    assert await figure(door) == 0 and await keys(door) == []
    assert len(await door.facts("invoice.issued")) == 1
    assert await parked(door, 2) == []
