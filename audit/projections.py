"""Reporting's copies against the log: items, cash off items, payments with their split, and its own reconciliation."""

from collections import defaultdict

from audit.equation import latest_payments
from audit.findings import Findings
from audit.ledger_log import item_versions
from audit.log_reader import Event, Log
from audit.stores import Row, Store


def check_projections(reporting: Store, log: Log, findings: Findings) -> None:
    """Each figure that pages and exports are made of is the last that the log says."""
    versions = item_versions(log)
    last = {item_id: events[max(events)] for item_id, events in versions.items()}
    _check_items({row["item_id"]: row for row in reporting["items"]}, last, findings)
    _check_payments(reporting, log, findings)
    _check_cash(reporting, log, findings)
    for row in reporting["reconciliation"]:
        known = row["difference_minor"] in (0, row["later_minor"])
        findings.true(
            known, "reporting {} {}: {} {} {} differs from the control totals by {}", row["company"], row["date"],
            row["scope"], row["figure"], row["currency"], row["difference_minor"],
        )  # fmt: skip


def _check_items(rows: dict[str, Row], last: dict[str, Event], findings: Findings) -> None:
    for item_id in sorted(set(rows) | set(last)):
        row, event = rows.get(item_id), last.get(item_id)
        if not findings.true(row and event, "item {} is only in the {}", item_id, "reports" if row else "log"):
            continue
        for field in ("version", "account_id", "currency", "side", "original_minor", "remaining_minor"):
            findings.equal(event.data[field], row[field], "item {} in the reports: {}", item_id, field)
        findings.equal(event.data["due_on"], row["due_on"].isoformat(), "item {} in the reports: due date", item_id)


def _check_payments(reporting: Store, log: Log, findings: Findings) -> None:
    latest = latest_payments(log)
    parts: dict[str, dict[str, tuple[int, int, int]]] = defaultdict(dict)
    for part in reporting["payment_parts"]:
        share = (part["applied_minor"], part["unapplied_minor"], part["on_account_minor"])
        if any(share):
            parts[part["payment_id"]][part["account_id"]] = share
    rows = {row["payment_id"]: row for row in reporting["payments"]}
    for payment_id, event in latest.items():
        row = rows.get(payment_id)
        if not findings.true(row, "payment {} is not in the reports", payment_id):
            continue
        findings.equal(event.data["payment_version"], row["version"], "payment {} in the reports: version", payment_id)
        for field in ("amount_minor", "unidentified_minor", "refunded_minor", "non_ar_minor", "returned_minor",
                      "small_gain_minor"):  # fmt: skip
            findings.equal(event.data[field], row[field], "payment {} in the reports: {}", payment_id, field)
        shares = {
            p["account_id"]: (p["applied_minor"], p["unapplied_minor"], p["on_account_minor"])
            for p in event.data["split"]
        }
        told = {account: share for account, share in shares.items() if any(share)}
        findings.equal(told, parts[payment_id], "payment {} in the reports: split", payment_id)
    received = {event.data["payment_id"]: event for event in log.of("payment.received")}
    receipts = {row["payment_id"]: row for row in reporting["receipts"]}
    for payment_id, event in received.items():
        row = receipts.get(payment_id)
        if findings.true(row, "receipt {} is not in the reports", payment_id):
            for field in ("amount_minor", "currency", "bank_account"):
                findings.equal(event.data[field], row[field], "receipt {} in the reports: {}", payment_id, field)


def _check_cash(reporting: Store, log: Log, findings: Findings) -> None:
    latest: dict[tuple[str, str, str], Event] = {}
    for event in log.of("cash.changed"):
        key = (event.company, event.data["account_id"], event.data["currency"])
        if key not in latest or latest[key].data["version"] < event.data["version"]:
            latest[key] = event
    rows = {(row["company"], row["account_id"], row["currency"]): row for row in reporting["cash"]}
    for key, event in latest.items():
        row = rows.get(key)
        if findings.true(row, "cash of {} {} {} is not in the reports", *key):
            for field in ("version", "unapplied_minor", "on_account_minor"):
                findings.equal(event.data[field], row[field], "cash of {} {} {} in the reports: " + field, *key)
