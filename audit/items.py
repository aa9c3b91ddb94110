"""Open items recomputed from the lines of the journal: original, relief by funding, remaining, and their base amounts.

Invariant checked: original = remaining + the sum of relief by funding, remaining between 0 and original.
"""

from collections import Counter, defaultdict

from audit.findings import Findings
from audit.stores import RELIEF, Row, Store


def check_items(store: Store, findings: Findings) -> None:
    """Every item against the lines that touch it."""
    lines: dict[str, list[Row]] = defaultdict(list)
    for line in store["lines"]:
        if line["item_id"]:
            lines[line["item_id"]].append(line)
    items = {row["item_id"]: row for row in store["items"]}
    for item_id in sorted(set(lines) - set(items)):
        findings.true(False, "item {} has {} lines and does not exist", item_id, len(lines[item_id]))
    for item_id, item in items.items():
        _check_item(item, lines.get(item_id, []), findings)
    _check_cancelled(store, findings)
    findings.figures["items"] = len(items)
    findings.figures["open_minor"] = _open(store["items"])


def _check_item(item: Row, lines: list[Row], findings: Findings) -> None:
    name = f"item {item['item_id']} ({item['kind']} {item['number']}, account {item['account_id']})"
    if not findings.true(lines, "{} has no line in the journal", name):
        return
    sign = 1 if item["side"] == "debit" else -1
    opening, moves = lines[0], lines[1:]
    original, remaining = item["original_minor"], item["remaining_minor"]
    findings.equal(sign * opening["amount_minor"], original, "{}: original by its first line", name)
    recomputed = sum(sign * line["amount_minor"] for line in lines)
    findings.equal(recomputed, remaining, "{}: remaining by its lines", name)
    findings.true(0 <= remaining <= original, "{}: remaining {} is not within 0 and {}", name, remaining, original)
    relief: Counter[str] = Counter()
    for line in moves:
        relief[line["funding"]] -= sign * line["amount_minor"]
    for funding in RELIEF:
        findings.equal(relief[funding], item[f"relief_{funding}"], "{}: relieved by {}", name, funding)
    strange = {funding for funding, amount in relief.items() if funding not in RELIEF and amount}
    findings.true(not strange, "{}: relief by {}", name, sorted(strange))
    total = remaining + sum(item[f"relief_{funding}"] for funding in RELIEF)
    findings.equal(original, total, "{}: remaining and relief together", name)
    if remaining == 0:
        base = sum(line["base_minor"] for line in lines)
        findings.equal(0, base, "{}: base amount left of a settled item", name)
    owners = {(line["company"], line["currency"], line["account_id"], line["side"]) for line in lines}
    expected = {(item["company"], item["currency"], item["account_id"], item["side"])}
    findings.equal(expected, owners, "{}: company, currency, account and side of its lines", name)


def _check_cancelled(store: Store, findings: Findings) -> None:
    cancelled = {row["document_id"] for row in store["documents"] if row["cancelled_on"]}
    for item in store["items"]:
        if item["document_id"] in cancelled and item["kind"] != "deduction":
            findings.equal(0, item["remaining_minor"], "item {} of a cancelled document: remaining", item["item_id"])


def _open(items: list[Row]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for item in items:
        sums[f"{item['company']} {item['currency']} {item['side']}"] += item["remaining_minor"]
    return dict(sorted(sums.items()))
