"""The API end to end: facts from the bus, commands with keys and roles, pages, and the day's work on its marker."""

from datetime import date

from services.collections.domain.rows import ROWS
from services.collections.tables import metadata
from shared.runtime import dead_letters
from shared.runtime.start_statements import BEYOND_BACKUP
from tests.domain.shared.caller_samples import COMPANY
from tests.scenario.collections.world import World
from tests.store.collections.conftest import MONDAY, Running

DUE = date(2025, 12, 29)


def debtor(service: Running, account_id: str = "C-1", amount: int = 200_000, **changes) -> World:
    facts = World(pool=None, on=MONDAY)
    made = (
        facts.account(account_id, **changes),
        facts.contact(account_id),
        facts.item("A", due_on=DUE, amount=amount, account_id=account_id),
    )
    for fact in made:
        service.put(fact.model_copy(update={"company": COMPANY}))
    return facts


async def test_a_closed_day_asks_for_a_notice_and_builds_the_worklist(running: Running) -> None:
    debtor(running)
    debtor(running, "C-2", amount=900_000)
    running.mark(MONDAY, closed=True)
    await running.settle()
    assert running.published() == ["notice.requested"] * 2
    first, second = (await running.get("/worklist", collector="ana"))["items"]
    assert (first["account_id"], second["account_id"]) == ("C-2", "C-1"), "more at risk comes first"
    assert first["why"] == "9000.00 EUR overdue for up to 7 days, no notice has left yet."
    assert first["work_on"] == "2026-01-06"
    assert (await running.get("/worklist", collector="bob"))["items"] == []


async def test_the_worklist_comes_in_pages(running: Running) -> None:
    for number in range(5):
        debtor(running, f"C-{number}", amount=100_000 + 10_000 * number)
    running.mark(MONDAY, closed=True)
    await running.settle()
    seen, cursor = [], None
    while True:
        page = await running.get("/worklist", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [row["account_id"] for row in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert seen == ["C-4", "C-3", "C-2", "C-1", "C-0"]


async def test_a_promise_is_made_once_per_key_and_stands_in_the_overview(running: Running) -> None:
    facts = debtor(running)
    await running.settle()
    body = {"account_id": "C-1", "currency": "EUR", "due_on": "2026-01-09", "items": [str(facts.item_id())]}
    answers = [await running.post("/promises", body, "ana", "collector", key="promise-0001") for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["amount_minor"] == 200_000
    overview = await running.get("/accounts/C-1")
    assert [p["status"] for p in overview["promises"]] == ["open"]
    assert overview["exposure"][0]["open_minor"] == 200_000
    other = await running.post("/promises", body | {"amount_minor": 5}, "ana", "collector", key="promise-0001")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    cancel = f"/promises/{answers[0].json()['promise_id']}/cancel"
    assert (await running.post(cancel, {"reason": ""}, "ana", "collector")).json()["status"] == "cancelled"


async def test_disputes_are_opened_by_collectors_and_decided_by_supervisors(running: Running) -> None:
    facts = debtor(running)
    await running.settle()
    body = {"account_id": "C-1", "item_id": str(facts.item_id()), "disputed_minor": 50_000, "reason_code": "price"}
    opened = await running.post("/disputes", body, "ana", "collector")
    assert opened.status_code == 201
    resolve = f"/disputes/{opened.json()['dispute_id']}/resolve"
    decision = {"outcome": "partly_credited", "credited_minor": 20_000}
    assert (await running.post(resolve, decision, "ana", "collector")).status_code == 403
    wrong = await running.post(resolve, {"outcome": "partly_credited"}, "sue", "supervisor")
    assert (wrong.status_code, "credited_minor" in wrong.json()["detail"]) == (422, True)
    decided = await running.post(resolve, decision, "sue", "supervisor")
    assert (decided.status_code, decided.json()["credited_minor"]) == (200, 20_000)
    again = await running.post(resolve, decision, "sue", "supervisor")
    assert (again.status_code, again.json()["code"]) == (409, "dispute_resolved")
    (row,) = (await running.get("/disputes", status="resolved"))["items"]
    assert row["outcome"] == "partly_credited"


async def test_activities_and_escalations_are_logged_with_who_did_them(running: Running) -> None:
    debtor(running)
    await running.settle()
    call = {"account_id": "C-1", "kind": "call", "next_step": "Call again", "next_on": "2026-01-06"}
    assert (await running.post("/activities", call, "ana", "collector")).status_code == 201
    without_date = await running.post("/activities", call | {"next_on": None}, "ana", "collector")
    assert without_date.status_code == 422
    raised = {"account_id": "C-1", "to": "manager", "reason": "No answer"}
    assert (await running.post("/escalations", raised, "ana", "collector")).status_code == 201
    logged = (await running.get("/activities", account_id="C-1"))["items"]
    assert {(a["kind"], a["by"]) for a in logged} == {("call", "user:ana"), ("ticket", "service:collections")}
    assert len((await running.get("/escalations", open=True))["items"]) == 1


async def test_what_does_not_exist_and_what_is_foreign_is_refused(running: Running) -> None:
    headers = running.as_person("ana", "collector")
    missing = await running.client.get(f"/v1/companies/{COMPANY}/accounts/nobody", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "account_unknown")
    foreign = await running.client.get("/v1/companies/other/worklist", headers=headers)
    assert foreign.status_code == 403
    assert (await running.client.get(f"/v1/companies/{COMPANY}/worklist")).status_code == 401
    body = {"body_sha256": "0" * 64}
    unknown = "/holds/00000000-0000-0000-0000-000000000000"
    assert (await running.post(f"{unknown}/approve", body, "cara", "controller")).status_code == 404
    assert (await running.post(f"{unknown}/approve", body, "ana", "collector")).status_code == 403


def test_every_row_has_the_columns_of_its_table() -> None:
    from dataclasses import fields

    for row in ROWS:
        columns = {column.name for column in metadata.tables[row.TABLE].columns}
        named = {column.name for column in fields(row)}
        assert named <= columns
        if row.TABLE != "approval":
            assert named == columns


async def test_nothing_is_asked_of_a_frozen_account_until_a_person_releases_it(running: Running) -> None:
    debtor(running)
    debtor(running, "C-2")
    await running.settle()
    await running.runtime.pool.execute(
        "insert into parked_key (key, company, account_id, code, error) values ($1, $2, 'C-1', $3, 'lost outputs')",
        f"{COMPANY}/C-1", COMPANY, BEYOND_BACKUP,
    )  # fmt: skip
    running.mark(MONDAY, closed=True)
    await running.settle()
    assert running.published() == ["notice.requested"]
    assert (await running.post("/activities", {"account_id": "C-1", "kind": "call"}, "ana", "collector")).json()[
        "code"
    ] == "account_parked"
    await dead_letters.redrive(running.runtime.pool, running.runtime.unit, [f"{COMPANY}/C-1"])
    running.mark(date(2026, 1, 6), closed=True)
    await running.settle()
    assert running.published() == ["notice.requested"] * 2
