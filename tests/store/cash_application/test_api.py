"""The API end to end on PostgreSQL: lists and pages, the why of a payment, commands with keys and roles, companies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from services.cash_application.api import router
from services.cash_application.schemas import CommandReply
from shared.clock import WallClock
from shared.db.pool import create_engine
from shared.http import make_app
from shared.runtime.control import save_control
from tests.builders import event
from tests.domain.shared.caller_samples import authenticator, token
from tests.scenario.cash_application.desk import (
    ACME,
    CONFIG,
    Desk,
    customer,
    invoice,
    item,
    pay_id,
    payment,
    returned,
)

STRANGER = {"payer": "Somebody Else Ltd", "iban": "GB33BUKB20201555555555"}


@dataclass
class Api:
    client: httpx.AsyncClient
    app: Any
    number: int = 0

    def headers(self, role: str, name: str = "ana", company: str = ACME, **limits: int) -> dict[str, str]:
        text = token(sub=name, roles=[role], companies=[company], limits={"refund": limits} if limits else {})
        return {"Authorization": f"Bearer {text}"}

    async def get(self, path: str, role: str = "analyst", **params: Any) -> Any:
        answer = await self.client.get(f"/v1/companies/{ACME}{path}", params=params, headers=self.headers(role))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(
        self, path: str, body: dict[str, Any], role: str = "analyst", name: str = "ana", key: str = "", **limits: int
    ) -> httpx.Response:
        self.number += 1
        headers = self.headers(role, name, **limits) | {"Idempotency-Key": key or f"test-key-{self.number:05d}"}
        return await self.client.post(f"/v1/companies/{ACME}{path}", json=body, headers=headers)


@pytest.fixture
async def api(desk: Desk, ledger_database) -> AsyncIterator[Api]:
    async with desk.pool.acquire() as db, db.transaction():
        await save_control(db, [event(CONFIG)])
    runtime = SimpleNamespace(
        service="cash_application",
        settings=SimpleNamespace(clock="live"),
        unit=desk.unit,
        pool=desk.pool,
        engine=create_engine(ledger_database.dsn, size=2),
        clock=WallClock(),
        relay_wanted=asyncio.Event(),
        timers_wanted=asyncio.Event(),
    )
    app = make_app("cash_application", "0", routers=[router], authenticator=authenticator())
    app.state.runtime = runtime
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield Api(client, app)
    await runtime.engine.dispose()


async def test_items_come_in_pages_by_due_date(desk: Desk, api: Api):
    await desk.feed(customer(), *(invoice(f"INV-2026-{n:05d}", 1_000 + n) for n in range(5)))
    await desk.feed(payment("p1", 1_000, "INV-2026-00000"))
    seen, cursor = [], None
    while True:
        page = await api.get("/accounts/C1/items", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [row["number"] for row in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(seen) == [f"INV-2026-{n:05d}" for n in range(1, 5)]
    assert len((await api.get("/accounts/C1/items", status="all"))["items"]) == 5


async def test_an_item_shows_every_entry_that_touched_it(desk: Desk, api: Api):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), payment("p1", 4_000, "INV-2026-00017"))
    await desk.feed(returned("r1", 4_000, of="p1"))
    found = await api.get(f"/items/{item('INV-2026-00017')}")
    assert [(line["kind"], line["funding"], line["amount_minor"]) for line in found["lines"]] == [
        ("document", "", 10_000),
        ("receipt", "cash", -4_000),
        ("return", "cash", 4_000),
    ]
    assert (found["remaining_minor"], found["relief"]) == (10_000, {})


async def test_payments_are_listed_by_where_their_cash_stands(desk: Desk, api: Api):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    await desk.feed(
        payment("done", 10_000, "INV-2026-00017"),
        payment("unapplied", 777, "x"),
        payment("nobody", 555, "y", **STRANGER),
    )
    states = {
        state: [row["payment_id"] for row in (await api.get("/payments", state=state))["items"]]
        for state in ("unapplied", "unidentified", "waiting", "suggested")
    }
    assert states["unapplied"] == [str(pay_id("unapplied"))]
    assert states["unidentified"] == [str(pay_id("nobody"))]
    assert set(states["waiting"]) == {str(pay_id("unapplied")), str(pay_id("nobody"))}
    assert len((await api.get("/payments"))["items"]) == 3
    assert len((await api.get("/payments", account_id="C1"))["items"]) == 2


async def test_a_payment_says_why(desk: Desk, api: Api):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), payment("p1", 10_000, "INV-2026-00017"))
    found = await api.get(f"/payments/{pay_id('p1')}")
    assert found["split"] == [
        {"account_id": "C1", "applied_minor": 10_000, "unapplied_minor": 0, "on_account_minor": 0}
    ]
    assert found["applications"][0]["number"] == "INV-2026-00017"
    certificate = found["certificates"][0]
    assert certificate["posting_id"] == found["applications"][0]["posting_id"]
    posted = [rung for rung in certificate["content"]["rungs"] if rung["outcome"] == "posted"]
    assert posted[0]["witness"] == "payer"


async def test_a_command_runs_once_per_key_and_leaves_its_trail(desk: Desk, api: Api):
    await desk.feed(customer(), payment("p1", 555, "y", **STRANGER))
    path, body = f"/payments/{pay_id('p1')}/identify", {"account_id": "C1"}
    answers = [await api.post(path, body, key="identify-0001") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert CommandReply(**answers[0].json()).split[0].unapplied_minor == 555
    other = await api.post(path, {"account_id": "C2"}, key="identify-0001")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    again = await api.post(path, body)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_unidentified")
    outbox = await desk.rows("select topic from outbox order by id")
    assert [row["topic"] for row in outbox].count("ar.control") == 1
    assert (await api.get("/accounts/C1/cash"))["cash"][0]["unapplied_minor"] == 555


async def test_apply_unapply_and_put_on_account(desk: Desk, api: Api):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), payment("p1", 12_000, "y", **STRANGER))
    path = f"/payments/{pay_id('p1')}"
    line = {"item_id": str(item("INV-2026-00017")), "cash_minor": 10_000}
    answer = await api.post(f"{path}/apply", {"currency": "EUR", "lines": [line]})
    assert answer.json()["split"][0] == {
        "account_id": "C1", "applied_minor": 10_000, "unapplied_minor": 2_000, "on_account_minor": 0,
    }  # fmt: skip
    body = {"account_id": "C1", "amount_minor": 2_000, "currency": "EUR"}
    assert (await api.post(f"{path}/put-on-account", body)).json()["open_minor"] == 0
    posting_id = (await api.get(path))["applications"][0]["posting_id"]
    answer = await api.post(f"{path}/unapply", {"posting_id": posting_id, "reason_code": "MISAPPLIED"})
    assert answer.json()["split"][0]["unapplied_minor"] == 10_000
    await desk.prove()


async def test_a_refund_is_asked_by_one_and_approved_by_another(desk: Desk, api: Api):
    await desk.feed(customer(), payment("p1", 900, "y"))
    body = {"account_id": "C1", "amount_minor": 900, "currency": "EUR"}
    asked = await api.post(f"/payments/{pay_id('p1')}/refunds", body)
    assert asked.status_code == 201, asked.text
    path = f"/refunds/{asked.json()['refund_id']}/approve"
    assert (await api.post(path, {"shown_amount_minor": 900})).status_code == 403, "an analyst may not approve"
    for changes, code in (
        ({"name": "ana", "EUR": 900}, "maker_is_checker"),
        ({"name": "sue"}, "no_limit"),
        ({"name": "sue", "EUR": 899}, "over_limit"),
    ):
        refused = await api.post(path, {"shown_amount_minor": 900}, "supervisor", **changes)
        assert (refused.status_code, refused.json()["code"]) == (403, code)
    shown = await api.post(path, {"shown_amount_minor": 800}, "supervisor", "sue", EUR=900)
    assert shown.json()["code"] == "changed_since_shown"
    approved = await api.post(path, {"shown_amount_minor": 900}, "supervisor", "sue", EUR=900)
    assert approved.json()["refund_status"] == "approved"
    assert [row["status"] for row in (await api.get("/refunds"))["items"]] == ["approved"]


async def test_a_return_that_waits_is_explained_by_a_person(desk: Desk, api: Api):
    await desk.feed(customer(), invoice("INV-2026-00017", 500), payment("p1", 500, "INV-2026-00017"))
    await desk.feed(returned("r1", 500, end_to_end="LOST"))
    debit = (await api.get("/debits"))["items"][0]
    answer = await api.post(f"/payments/{pay_id('p1')}/explain-debit", {"debit_id": debit["debit_id"]})
    assert answer.status_code == 200, answer.text
    assert (await api.get("/debits"))["items"] == []
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 500
    terms = (await desk.prove(date.max))["bank_accounts"]["EUR-1"]
    assert (terms["not_explained_minor"], terms["applied_minor"]) == (0, 0)


@pytest.mark.parametrize(
    ("path", "code"), [(f"/payments/{pay_id('x')}", "payment_unknown"), (f"/items/{pay_id('x')}", "item_unknown")]
)
async def test_what_is_not_there_is_404(api: Api, path: str, code: str):
    answer = await api.client.get(f"/v1/companies/{ACME}{path}", headers=api.headers("analyst"))
    assert (answer.status_code, answer.json()["code"]) == (404, code)
