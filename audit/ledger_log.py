"""ar.ledger as its readers see it: gap-free versions per item, payment and account's cash, the last equal to the store;
and gap-free sequences per source, topic and key on every topic."""

from collections import defaultdict
from typing import Any

from audit.equation import latest_payments
from audit.findings import Findings
from audit.log_reader import MARKERS, Event, Log
from audit.stores import RELIEF, Row, Store

ITEM_EVENTS = ("item.opened", "item.changed", "item.settled", "item.reopened")


def item_versions(log: Log) -> dict[str, dict[int, Event]]:
    """Per item its events by version."""
    found: dict[str, dict[int, Event]] = defaultdict(dict)
    for event in log.of(*ITEM_EVENTS):
        found[event.data["item_id"]].setdefault(event.data["version"], event)
    return found


def check_sequences(log: Log, findings: Findings) -> None:
    """No event is missing or out of order in any stream."""
    streams: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for event in log.events:
        streams[event.source, event.topic, _stream(event)].append(event.sequence)
    for stream, numbers in streams.items():
        if numbers != list(range(1, len(numbers) + 1)):
            findings.true(False, "stream {} {} {}: {}", *stream, _gap(numbers))
        findings.checks += 1
    for event_id in log.same_id:
        findings.true(False, "event {} came again with other content", event_id)
    findings.figures["events"] = len(log.events)
    findings.figures["records"] = log.records


def check_unreadable(log: Log, findings: Findings) -> None:
    """A record that is no event was left out by two persons, or the cursor of its stopped partition was moved over it,
    as an event says; else it is nobody's decision yet."""
    skipped: dict[tuple[str, int, int], set[str]] = defaultdict(set)
    for event in log.of("event.skipped"):
        place = event.data["topic"], event.data["partition"], event.data["offset"]
        skipped[place].add(event.data["service"])
    for data in (event.data for event in log.of("partition.moved")):
        for topic, partition, offset in log.unreadable:
            if (topic, partition) == (data["topic"], data["partition"]):
                if data["from_offset"] <= offset < data["to_offset"]:
                    skipped[topic, partition, offset].add(data["service"])
    for place, why in sorted(log.unreadable.items()):
        if findings.true(place in skipped, "{}; no event says that it was left out", why):
            findings.note(f"{why}; left out in {', '.join(sorted(skipped[place]))}")


def _stream(event: Event) -> str:
    if event.type in MARKERS:
        return f"markers of partition {event.partition if event.partition >= 0 else event.key}"
    if event.topic == "ar.payments":
        return f"partition {event.partition}"
    return event.key


def _gap(numbers: list[int]) -> str:
    for expected, number in enumerate(sorted(numbers), 1):
        if number != expected:
            return f"sequence {expected} is missing" if number > expected else f"sequence {number} is there twice"
    wrong = next(i for i, number in enumerate(numbers, 1) if number != i)
    return f"sequence {numbers[wrong - 1]} stands where {wrong} should"


def check_ledger_log(log: Log, findings: Findings) -> None:
    """What the log says of items, payments and cash is complete and consistent in itself."""
    for item_id, versions in item_versions(log).items():
        name = f"item {item_id} in the log"
        findings.equal(list(range(1, len(versions) + 1)), sorted(versions), "{}: versions", name)
        for event in versions.values():
            _check_state(event, findings)
        kinds = {
            key
            for key in ((e.data["account_id"], e.data["currency"], e.data["original_minor"]) for e in versions.values())
        }
        findings.equal(1, len(kinds), "{}: account, currency and original stay", name)
    payments: dict[str, list[int]] = defaultdict(list)
    for event in log.starting("payment."):
        if event.topic == "ar.ledger" and "payment_version" in event.data:
            payments[event.data["payment_id"]].append(event.data["payment_version"])
    for payment_id, found in payments.items():
        findings.equal(list(range(1, len(found) + 1)), sorted(found), "payment {} in the log: versions", payment_id)
    cash: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for event in log.of("cash.changed"):
        cash[event.company, event.data["account_id"], event.data["currency"]].append(event.data["version"])
    for key, found in cash.items():
        findings.equal(list(range(1, len(found) + 1)), sorted(found), "cash of {} {} {} in the log: versions", *key)


def _check_state(event: Event, findings: Findings) -> None:
    data = event.data
    name = f"item {data['item_id']} version {data['version']} in the log"
    remaining, original = data["remaining_minor"], data["original_minor"]
    findings.true(0 <= remaining <= original, "{}: remaining {} is not within 0 and {}", name, remaining, original)
    findings.equal(original, remaining + sum(data["relief"].values()), "{}: remaining and relief together", name)


def check_log_against_store(log: Log, store: Store, findings: Findings) -> None:
    """The last that the log says of each thing is what the store holds, and the other way round."""
    versions = item_versions(log)
    items = {row["item_id"]: row for row in store["items"]}
    for item_id in sorted(set(versions) | set(items)):
        events, row = versions.get(item_id), items.get(item_id)
        if findings.true(events and row, "item {} is only in the {}", item_id, "log" if events else "store"):
            _same_item(events[max(events)], row, findings)
    latest = latest_payments(log)
    receipts = {row["payment_id"]: row for row in store["receipts"]}
    parts: dict[str, list[Row]] = defaultdict(list)
    for part in store["parts"]:
        parts[part["payment_id"]].append(part)
    for payment_id in sorted(set(latest) | set(receipts)):
        event, row = latest.get(payment_id), receipts.get(payment_id)
        if findings.true(event and row, "payment {} is only in the {}", payment_id, "log" if event else "store"):
            _same_payment(event, row, parts[payment_id], findings)
    _same_cash(log, store, findings)


def _same_item(event: Event, row: Row, findings: Findings) -> None:
    name = f"item {row['item_id']} ({row['number']})"
    for field in ("version", "account_id", "currency", "side", "original_minor", "remaining_minor"):
        findings.equal(row[field], event.data[field], "{}: {} in the store and in the log", name, field)
    findings.equal(row["due_on"].isoformat(), event.data["due_on"], "{}: due date in the store and in the log", name)
    relief = {funding: event.data["relief"].get(funding, 0) for funding in RELIEF}
    findings.equal({funding: row[f"relief_{funding}"] for funding in RELIEF}, relief, "{}: relief in the log", name)


def _same_payment(event: Event, row: Row, parts: list[Row], findings: Findings) -> None:
    name, data = f"payment {row['payment_id']}", event.data
    findings.equal(row["version"], data["payment_version"], "{}: version in the store and in the log", name)
    for field in ("amount_minor", "currency", "bank_account", "unidentified_minor", "refunded_minor", "non_ar_minor",
                  "returned_minor"):  # fmt: skip
        findings.equal(row[field], data[field], "{}: {} in the store and in the log", name, field)
    findings.equal(row["gain_minor"], data["small_gain_minor"], "{}: small gain in the store and in the log", name)
    findings.equal(_shares(parts), _shares(data["split"]), "{}: split in the store and in the log", name)


def _shares(parts: list[dict[str, Any]]) -> dict[str, tuple[int, int, int]]:
    """Shares by account; one of nothing is none."""
    found = {p["account_id"]: (p["applied_minor"], p["unapplied_minor"], p["on_account_minor"]) for p in parts}
    return {account: share for account, share in found.items() if any(share)}


def _same_cash(log: Log, store: Store, findings: Findings) -> None:
    latest: dict[tuple[str, str, str], Event] = {}
    for event in log.of("cash.changed"):
        key = (event.company, event.data["account_id"], event.data["currency"])
        if key not in latest or latest[key].data["version"] < event.data["version"]:
            latest[key] = event
    rows = {(row["company"], row["account_id"], row["currency"]): row for row in store["cash"]}
    for key in sorted(set(latest) | set(rows)):
        event, row = latest.get(key), rows.get(key)
        if not findings.true(event and row, "cash of {} {} {} is only in the {}", *key, "log" if event else "store"):
            continue
        for field in ("version", "unapplied_minor", "on_account_minor"):
            findings.equal(row[field], event.data[field], "cash of {} {} {}: " + field + " in the log", *key)
