"""The ERP's files and the actions: the fixed format, and nothing that refers to what is not there yet."""

import json
from collections import defaultdict
from datetime import date
from typing import Any

from tests.domain.sample.reading import Run, minor

HEADERS = {
    "customers": "company,account_id,party_id,name,debtor_kind,country,region,subdivision,industry,segment,language,"
    "currency,time_zone,tax_ids,terms,credit_limit,collector,sales_owner,customer_since_on,bank_accounts,"
    "access_targets,confidentiality,status",
    "contacts": "company,account_id,contact_id,name,roles,email,phone,address,language,time_zone,channels,consents,"
    "valid",
    "links": "company,from_account_id,to_account_id,kind,from_on,to_on",
    "documents": "company,source_system,document_type,source_document_id,number,account_id,document_on,service_from_on,"
    "service_to_on,terms,due_on,currency,net,tax,total,prepaid,instalments,discounts,purchase_order,contract,project,"
    "payment_reference,buyer,reason_code,applies_to,replaces_document_id,keeps_due_date,lines",
}


def documents_of(run: Run) -> list[dict[str, Any]]:
    """CSV rows and JSON records in one form, in the order of feeding."""
    found: list[dict[str, Any]] = list(run.rows("documents"))
    for record in run.records:
        row = defaultdict(str, record)
        row["document_type"] = record["record_type"]
        for name, key in (("instalments", "due_on"), ("discounts", "until_on"), ("applies_to", "source_document_id")):
            row[name] = ";".join(f"{pair[key]}={pair['amount']}" for pair in record.get(name, []))
        row["lines"] = json.dumps(record["lines"]) if "lines" in record else ""
        found.append(row)
    return sorted(found, key=lambda row: str(row["fed_on"]))


def test_headers_are_those_of_the_feed_format(run: Run) -> None:
    seen = set()
    for path in run.folder.glob("days/*/*.csv"):
        name = path.stem.split("_")[-1]
        assert path.read_bytes().decode().split("\r\n", maxsplit=1)[0] == HEADERS[name]
        seen.add(name)
    assert seen == set(HEADERS)


def test_files_of_a_day_are_numbered_without_a_gap(run: Run) -> None:
    for day in run.day_folders:
        numbers = sorted(int(path.name[:2]) for path in day.iterdir() if path.name != "actions.json")
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 3


def test_amounts_of_a_document_add_up(run: Run) -> None:
    for row in documents_of(run):
        if row["document_type"] == "cancellation":
            continue
        total = minor(row["total"])
        assert minor(row["net"]) + minor(row["tax"]) == total > 0
        parts = [minor(pair.split("=")[1]) for pair in row["instalments"].split(";") if pair]
        assert not parts or (sum(parts) == total and row["instalments"].split(";")[-1].startswith(row["due_on"]))
        assert row["due_on"] >= row["document_on"] and row["fed_on"] >= row["document_on"]
        if row["lines"]:
            assert sum(minor(line["net"]) for line in json.loads(row["lines"])) == minor(row["net"])


def test_ids_of_documents_are_unique_and_numbers_look_printed(run: Run) -> None:
    ids = [row["source_document_id"] for row in documents_of(run) if row["document_type"] != "cancellation"]
    assert len(ids) == len(set(ids))
    invoices = [row for row in documents_of(run) if row["document_type"] == "invoice"]
    assert all(row["number"].split("-")[0] in ("HDR", "VDR") and len(row["number"]) == 15 for row in invoices)


def test_nothing_refers_to_a_thing_that_was_not_fed_before(run: Run) -> None:
    accounts = {row["account_id"]: row["fed_on"] for row in reversed(run.rows("customers"))}
    fed: dict[str, dict[str, Any]] = {}
    for row in documents_of(run):
        assert accounts[row["account_id"]] <= row["fed_on"]
        if row["document_type"] != "cancellation":
            fed[row["source_document_id"]] = row
    for row in documents_of(run):
        targets = [pair.split("=")[0] for pair in row["applies_to"].split(";") if pair]
        targets += [row["replaces_document_id"]] if row["replaces_document_id"] else []
        targets += [row["source_document_id"]] if row["document_type"] == "cancellation" else []
        for target in targets:
            assert fed[target]["fed_on"] <= row["fed_on"]
            assert fed[target]["source_system"] == row["source_system"]
            assert fed[target]["account_id"] == row["account_id"]
    for row in run.rows("contacts"):
        assert accounts[row["account_id"]] <= row["fed_on"]
    for row in run.rows("links"):
        assert max(accounts[row["from_account_id"]], accounts[row["to_account_id"]]) <= row["fed_on"]
    for day, actions in run.actions.items():
        for action in actions["promises"] + actions["activities"] + actions["disputes"]:
            named = action.get("source_document_ids", [action.get("source_document_id")])
            assert accounts[action["account_id"]] <= day and all(fed[one]["fed_on"] <= day for one in named)


def test_every_kind_of_document_occurs(quarter: Run) -> None:
    kinds = defaultdict(int)
    for row in documents_of(quarter):
        kinds[row["document_type"]] += 1
    assert set(kinds) == {"invoice", "debit_memo", "credit_memo", "cancellation", "rebill"}
    assert sum(1 for row in documents_of(quarter) if row["instalments"]) >= 20
    assert sum(1 for row in documents_of(quarter) if row["discounts"]) >= 50


def test_customers_hold_what_pages_and_exports_must_keep_neutral(run: Run) -> None:
    names = {row["name"] for row in run.rows("customers")}
    assert "<b>Bits & Bytes</b> Ltd" in names
    assert any(name.startswith("=") for name in names)


def test_overdue_items_exist_on_the_first_day(run: Run) -> None:
    first = run.day_folders[0].name
    due = [date.fromisoformat(row["due_on"]) for row in documents_of(run) if row["fed_on"] == first]
    late = [(date.fromisoformat(first) - on).days for on in due if on < date.fromisoformat(first)]
    assert len(late) > 50 and max(late) > 30


def test_exchange_rates_cover_every_business_day_once(run: Run) -> None:
    seen = []
    for day in run.day_folders:
        seen += [
            (row["pair"], row["on"]) for row in json.loads((run.folder / "rates" / f"{day.name}.json").read_text())
        ]
    assert len(seen) == len(set(seen))
    assert {("EUR/USD", day.name) for day in run.day_folders} <= set(seen)
    assert {pair for pair, _ in seen} == {"EUR/USD", "EUR/GBP"}


def test_decisions_about_disputes_follow_their_opening_and_bring_their_credit_memo(quarter: Run) -> None:
    memos = {row["source_document_id"]: row for row in documents_of(quarter) if row["document_type"] == "credit_memo"}
    opened: dict[str, str] = {}
    credited = 0
    for day, actions in quarter.actions.items():
        for resolution in actions["resolutions"]:
            assert opened[resolution["dispute_ref"]] < day
            memo = memos.get(resolution["credit_memo_source_document_id"] or "")
            assert (memo is not None) == (resolution["credited_minor"] > 0)
            if memo is not None:
                assert memo["fed_on"] == day and minor(memo["total"]) == resolution["credited_minor"]
                credited += 1
        opened |= {dispute["ref"]: day for dispute in actions["disputes"]}
    assert credited >= 10


def test_five_days_hold_promises_of_every_outcome_and_things_to_remind_of(five_days: Run) -> None:
    assert [day.name for day in five_days.day_folders][0] == "2026-01-05" and len(five_days.day_folders) == 5
    assert {promise["outcome"] for promise in five_days.truth["promises"]} == {"kept", "partly_kept", "broken"}
    assert len(five_days.truth["payments"]) >= 30 and five_days.truth["returns"]
    assert sum(path.stat().st_size for path in five_days.folder.rglob("*") if path.is_file()) < 2_000_000
