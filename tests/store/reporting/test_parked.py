"""What a service upstream holds back is seen by a person: the page of exceptions names it from the last tick."""

import httpx
import pytest

from shared.events.markers import CompanyReach, Parked
from shared.runtime import statements as sql
from tests.domain.shared.caller_samples import token
from tests.store.reporting.world import World, at

SUBMISSION = "9c5bc12f-720a-533e-aa1c-0e72b59552b0"


async def ticked(world: World, *parked: Parked) -> None:
    """A tick of the world's company that names these."""
    reach = CompanyReach(parked=list(parked)).model_dump(mode="json")
    async with world.pool.acquire() as db:
        await db.execute(sql.SET_CLOCK, at(world.on, 18), world.numbers + 2, {world.company: reach})


@pytest.mark.parametrize("kind", ["submission", "record", "statement", "key"])
async def test_what_is_held_back_upstream_stands_on_the_page_of_exceptions(
    world: World, browser: httpx.AsyncClient, kind: str
) -> None:
    await ticked(world, Parked(kind=kind, id=SUBMISSION, company=world.company))
    headers = {"Accept": "text/html", "Authorization": f"Bearer {token(companies=[world.company])}"}
    page = await browser.get("/exceptions", headers=headers)
    assert page.status_code == 200
    held_back = page.text.partition('<section aria-labelledby="parked">')[2].partition("</section>")[0]
    assert f"<code>{SUBMISSION}</code>" in held_back and kind.capitalize() in held_back, held_back
