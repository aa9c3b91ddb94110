"""The API: figures at a cut, drill-down that adds up, CSV, pages, and companies that never meet."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.domain.shared.caller_samples import token
from tests.store.reporting import quarter
from tests.store.reporting.world import World, at

DUE = date(2026, 2, 20)


@pytest.fixture
async def api(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    browser.headers["Authorization"] = f"Bearer {token(companies=['acme'])}"
    return browser


async def get(api: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await api.get(f"/v1/companies/acme/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def two_days(world: World) -> None:
    """Monday: invoices of 1,000 and 500. Tuesday: 600 pays one, 100 stays unapplied; the other is disputed by 300."""
    await world.tell(world.account(), world.account("C-2", country="AT", name='=1+1 "Ltd"'))
    for number, amount in (("A", 1000), ("B", 500)):
        await world.tell(world.invoice(number, amount, document_on=date(2026, 1, 21), due_on=DUE))
        await world.tell(world.item(number, amount, due_on=DUE))
    await world.tell(world.item("X", 70, due_on=DUE, account_id="C-2", currency="USD"))
    await world.close()
    await world.tell(
        world.received("P", 600),
        world.item("B", 500, due_on=DUE, remaining=0),
        world.cash(100),
        world.state("P", 600, applied={"B": 500}, unapplied=100),
        world.item("A", 1000, due_on=DUE, disputed=300),
        world.received("U", 45),
        world.state("U", 45, unidentified=45),
    )
    await world.close()


async def test_aging_as_of_each_day(api: httpx.AsyncClient, world: World) -> None:
    await two_days(world)
    monday, tuesday = date(2026, 3, 2), date(2026, 3, 3)
    now, before = await get(api, "aging"), await get(api, "aging", as_of=monday)
    assert now["as_of"] == str(tuesday)
    eur, usd = now["rows"]
    assert (eur["gross_minor"], eur["credits_minor"], eur["disputed_minor"]) == (1000, -145, 300)
    assert (usd["gross_minor"], now["in_base"]["gross_minor"]) == (70, 1056)
    assert (before["rows"][0]["gross_minor"], before["rows"][0]["credits_minor"]) == (1500, 0)
    assert before["rows"][0]["disputed_minor"] == 0


async def test_what_was_not_known_then_is_not_in_an_answer_as_known_then(api: httpx.AsyncClient, world: World) -> None:
    await world.tell(world.account(), world.item("A", 1000, due_on=DUE), known_at=at(world.on, 9))
    late = world.item("A", 1000, due_on=DUE, remaining=400, accounted_on=world.on)
    await world.tell(late, known_at=at(world.on + timedelta(days=5), 9))
    await world.close()
    then = datetime(2026, 3, 3, tzinfo=UTC).isoformat()
    known_then = await get(api, "aging", known_at=then)
    assert known_then["rows"][0]["gross_minor"] == 1000
    assert (await get(api, "aging"))["rows"][0]["gross_minor"] == 400
    assert (await get(api, "items", known_at=then))["items"][0]["remaining_minor"] == 1000


async def test_every_grouping_sums_to_the_same(api: httpx.AsyncClient, world: World) -> None:
    await two_days(world)
    for by in ("currency", "account", "country", "industry", "collector"):
        for basis in ("due", "invoice"):
            rows = (await get(api, "aging", by=by, basis=basis))["rows"]
            assert (sum(r["gross_minor"] for r in rows), sum(r["credits_minor"] for r in rows)) == (1070, -145), by
    by_account = (await get(api, "aging", by="account"))["rows"]
    assert [row["group"] for row in by_account] == ["(unidentified)", "C-1", "C-2"]


async def test_items_add_up_to_the_aging_and_come_in_pages(api: httpx.AsyncClient, world: World) -> None:
    await quarter.live(world, days=6)
    seen: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await get(api, "items", limit=40, **({"cursor": cursor} if cursor else {}))
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len({row["item_id"] for row in seen}) == len(seen) > 100
    for row in (await get(api, "aging"))["rows"]:
        of_currency = [item for item in seen if item["currency"] == row["currency"]]
        assert sum(item["remaining_minor"] for item in of_currency) == row["gross_minor"]
    figures = (await get(api, "days", limit=1))["items"][0]["figures"]
    assert figures["aging"] == (await get(api, "aging"))["rows"]


async def test_a_past_day_gives_what_was_noted_at_its_close(api: httpx.AsyncClient, world: World) -> None:
    await quarter.live(world, days=6)
    for day in (await get(api, "days"))["items"]:
        then = await get(api, "aging", as_of=day["date"])
        assert then["rows"] == day["figures"]["aging"]
        assert (await get(api, "dso", as_of=day["date"]))["simple"] == day["figures"]["dso"]["simple"]


async def test_a_statement_runs_from_opening_to_closing(api: httpx.AsyncClient, world: World) -> None:
    await two_days(world)
    report = await get(api, "accounts/C-1/statement", from_on="2026-03-03")
    assert report["balances"] == [
        {"currency": "EUR", "opening_minor": 1500, "closing_minor": 900, "difference_minor": 0}
    ]
    assert [(line["kind"], line["amount_minor"], line["balance_minor"]) for line in report["lines"]] == [
        ("cash", -600, 900)
    ]
    whole = await get(api, "accounts/C-1/statement")
    assert [line["amount_minor"] for line in whole["lines"]] == [1000, 500, -600]


async def test_statements_of_all_accounts_explain_themselves(api: httpx.AsyncClient, world: World) -> None:
    await quarter.live(world, days=8)
    for n in range(0, quarter.ACCOUNTS, 3):
        report = await get(api, f"accounts/{quarter.account_id(n)}/statement", from_on="2026-02-05")
        assert [total["difference_minor"] for total in report["balances"]] == [0] * len(report["balances"])


async def test_csv_is_neutral_and_has_decimals(api: httpx.AsyncClient, world: World) -> None:
    await two_days(world)
    answer = await api.get("/v1/companies/acme/items", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert {row["account_name"]: row["remaining"] for row in rows} == {
        "Debtor C-1 Ltd": "10.00", "'=1+1 \"Ltd\"": "0.70",
    }  # fmt: skip
    as_parameter = await api.get("/v1/companies/acme/aging?format=csv")
    assert as_parameter.text.splitlines()[0].startswith("group,currency,current,1-30")
    assert ",-1.45," in as_parameter.text


LISTS = ("promises", "disputes", "holds", "notices", "cash-received", "reconciliation", "items", "aging")


async def test_every_list_answers_in_json_and_csv(api: httpx.AsyncClient, world: World) -> None:
    await quarter.live(world, days=10)
    for path in LISTS:
        found = await get(api, path, limit=500)
        rows = found.get("items") or found.get("rows")
        answer = await api.get(f"/v1/companies/acme/{path}?format=csv")
        assert rows and len(list(csv.reader(io.StringIO(answer.text, newline="")))) == len(rows) + 1, path


@pytest.mark.parametrize("path", ["cash-received", "reconciliation", "aging?by=account", "aging"])
async def test_pages_of_a_list_are_the_whole_list_in_order(api: httpx.AsyncClient, world: World, path: str) -> None:
    await quarter.live(world, days=5)
    name = "rows" if "aging" in path else "items"
    query = {"by": "account"} if "account" in path else {}
    path = path.partition("?")[0]
    whole = (await get(api, path, limit=500, **query))[name]
    page = await get(api, path, limit=1, **query)
    found = page[name]
    while page.get("next"):
        page = await get(api, path, limit=1, cursor=page["next"], **query)
        assert len(page[name]) == 1
        found += page[name]
    assert found == whole and len(whole) > 1


async def test_parked_keys_are_paged_oldest_first_for_the_callers_companies_only(
    api: httpx.AsyncClient, world: World
) -> None:
    keys = [f"{company}/C-{n}" for company in ("acme", "other") for n in range(5)]
    async with world.pool.acquire() as db:
        await db.executemany(
            "insert into parked_key (key, company, account_id, code, error, since_at)"
            " select $1, split_part($1, '/', 1), null, 'code', 'no', timestamptz '2026-03-02 10:00+00' - $2::interval",
            [(key, timedelta(minutes=n // 2)) for n, key in enumerate(keys)],
        )
    found, page = [], {"next": None}
    while True:
        cursor = {"cursor": page["next"]} if page["next"] else {}
        answer = await api.get("/v1/runtime/parked", params={"limit": 2, **cursor})
        page = answer.json()
        found += [row["key"] for row in page["items"]]
        if not page["next"]:
            break
    assert found == ["acme/C-4", "acme/C-2", "acme/C-3", "acme/C-0", "acme/C-1"]


async def test_summaries(api: httpx.AsyncClient, world: World) -> None:
    await quarter.live(world, days=12)
    withheld = await get(api, "notices/withheld")
    notices = await world.rows("select status, reasons from notice")
    assert withheld["by_status"]["withheld"] == sum(row["status"] == "withheld" for row in notices)
    named = sum(any(r["code"] == "CASH_CANDIDATE" for r in row["reasons"]) for row in notices)
    assert {r["code"]: r["notices"] for r in withheld["by_reason"]}["CASH_CANDIDATE"] == named
    kept = await get(api, "promises/kept")
    assert kept["kept"] + kept["partly_kept"] + kept["broken"] > 0
    dso = await get(api, "dso")
    assert dso["simple"] and dso["count_back"]
    exceptions = await get(api, "exceptions")
    assert [row["reason"] for row in exceptions["quarantined"]] and exceptions["holds_unconfirmed"]
    assert (await get(api, "accounts", q="alder"))["items"]


async def test_a_role_that_may_not_read_reports_is_refused(browser: httpx.AsyncClient, world: World) -> None:
    await two_days(world)
    headers = {"Authorization": f"Bearer {token(companies=['acme'], roles=['operator'])}"}
    assert (await browser.get("/v1/companies/acme/aging", headers=headers)).status_code == 403


async def test_before_the_first_day_the_answer_says_what_to_do(api: httpx.AsyncClient, world: World) -> None:
    async with world.pool.acquire() as db:
        await db.execute("delete from business_clock")
    answer = await api.get("/v1/companies/acme/aging")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_business_day_yet")
    assert "as_of" in answer.json()["what_to_do"]


async def test_a_difference_is_shown_on_the_overview_as_such(api: httpx.AsyncClient, world: World) -> None:
    await quarter.live(world, days=2, wrong_cent=True)
    text = (await api.get("/")).text
    assert "1 of " in text and "figures differ" in text
    assert "Nothing is plugged" in text
