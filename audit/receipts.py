"""Payments in the books: the parts sum to the amount, each part is what the journal says, nothing is applied twice."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from audit.findings import Findings
from audit.journal import first_lines
from audit.stores import Row, Store

LEDGER_OF_PART = {"UNAPP": "unapplied_minor", "ONACC": "on_account_minor"}


@dataclass(slots=True)
class Traced:
    """Where the journal says that a payment's cash stands. Positive minor units."""

    bank: int = 0
    unidentified: int = 0
    refunded: int = 0
    non_ar: int = 0
    gain: int = 0
    suspense: int = 0
    charged: int = 0
    applied: Counter[str] = field(default_factory=Counter)
    parts: Counter[tuple[str, str]] = field(default_factory=Counter)


def check_receipts(store: Store, findings: Findings) -> None:
    """Every receipt against its parts, its applications and the lines that carry its id."""
    traced = _trace(store)
    parts: dict[str, list[Row]] = defaultdict(list)
    for part in store["parts"]:
        parts[part["payment_id"]].append(part)
    live = _live_applications(store)
    known = {row["payment_id"] for row in store["receipts"]}
    for payment_id in sorted((set(traced) | set(parts)) - known):
        findings.true(False, "payment {} has lines or parts and no receipt", payment_id)
    for receipt in store["receipts"]:
        payment_id = receipt["payment_id"]
        _check_receipt(receipt, parts[payment_id], traced.get(payment_id, Traced()), live, findings)
    _check_cash(store, findings)
    _check_item_cash(store, findings)
    findings.figures["payments"] = len(store["receipts"])


def _trace(store: Store) -> dict[str, Traced]:
    traced: dict[str, Traced] = defaultdict(Traced)
    opened = set(first_lines(store).values())
    for line in store["lines"]:
        if line["payment_id"]:
            _trace_line(traced[line["payment_id"]], line, line["id"] in opened)
    return traced


def _trace_line(found: Traced, line: Row, opens_item: bool) -> None:
    ledger, amount, account = line["ledger"], -line["amount_minor"], line["account_id"]
    if ledger == "BANK":
        found.bank -= amount
    elif ledger in LEDGER_OF_PART:
        found.parts[account, LEDGER_OF_PART[ledger]] += amount
    elif ledger == "UNID":
        found.unidentified += amount
    elif ledger == "REFUND":
        found.refunded += amount
    elif ledger == "NON_AR":
        found.non_ar += amount
    elif ledger == "SUSPENSE":
        found.suspense += amount
    elif ledger == "SMALL" and line["bank_account"]:
        found.gain += amount
    elif ledger in ("AR", "AR_DED") and line["bank_account"]:
        if opens_item:
            found.charged -= amount
        else:
            found.applied[account] += amount


def _check_receipt(
    receipt: Row, parts: list[Row], found: Traced, live: dict[tuple[str, str], int], findings: Findings
) -> None:
    payment_id = receipt["payment_id"]
    name = f"payment {payment_id} ({receipt['bank_account']})"
    places = sum(p["applied_minor"] + p["unapplied_minor"] + p["on_account_minor"] for p in parts)
    whole = sum(receipt[f"{n}_minor"] for n in ("unidentified", "refunded", "non_ar", "returned", "gain"))
    findings.equal(receipt["amount_minor"], places + whole, "{}: sum of its split", name)
    waiting = receipt["unidentified_minor"] + sum(p["unapplied_minor"] for p in parts)
    findings.equal(waiting, receipt["open_minor"], "{}: what waits", name)
    for place, amount in (
        ("unidentified", found.unidentified), ("refunded", found.refunded), ("non_ar", found.non_ar),
        ("gain", found.gain),
    ):  # fmt: skip
        findings.equal(amount, receipt[f"{place}_minor"], "{}: {} by the journal", name, place)
    taken = receipt["amount_minor"] - found.bank + found.suspense - found.charged
    findings.equal(taken, receipt["returned_minor"], "{}: taken back by the bank", name)
    for part in parts:
        account = part["account_id"]
        own = (name, account)
        for place in ("unapplied_minor", "on_account_minor"):
            findings.equal(found.parts[account, place], part[place], "{}, account {}: " + place, *own)
        findings.equal(found.applied[account], part["applied_minor"], "{}, account {}: applied by the journal", *own)
        findings.equal(
            live.get((payment_id, account), 0), part["applied_minor"], "{}, account {}: sum of its live applications",
            *own,
        )  # fmt: skip
    told = {part["account_id"] for part in parts}
    stray = {a for a, amount in found.applied.items() if amount} | {
        a for (a, _), amount in found.parts.items() if amount
    }
    findings.true(stray <= told, "{}: the journal has cash of it on accounts {}", name, sorted(stray - told))


def _live_applications(store: Store) -> dict[tuple[str, str], int]:
    live: Counter[tuple[str, str]] = Counter()
    for row in store["applications"]:
        if row["reversed_by"] is None:
            sign = 1 if row["side"] == "debit" else -1
            live[row["payment_id"], row["account_id"]] += sign * row["cash_minor"]
    return live


def _check_cash(store: Store, findings: Findings) -> None:
    """Cash off items per account and currency = the parts of all payments."""
    currency = {row["payment_id"]: (row["company"], row["currency"]) for row in store["receipts"]}
    sums: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for part in store["parts"]:
        company, code = currency.get(part["payment_id"], (part["company"], ""))
        for place in ("unapplied_minor", "on_account_minor"):
            sums[company, part["account_id"], code][place] += part[place]
    kept = {(row["company"], row["account_id"], row["currency"]): row for row in store["cash"]}
    for key in sorted(set(sums) | set(kept)):
        for place in ("unapplied_minor", "on_account_minor"):
            stored = kept[key][place] if key in kept else 0
            findings.equal(sums[key][place], stored, "cash of {} account {} in {}: " + place, *key)


def _check_item_cash(store: Store, findings: Findings) -> None:
    """What payments say they put on an item = what the item says it got in cash."""
    live: Counter[str] = Counter()
    for row in store["applications"]:
        if row["reversed_by"] is None:
            live[row["item_id"]] += row["cash_minor"]
    for item in store["items"]:
        findings.equal(
            live[item["item_id"]], item["relief_cash"], "item {} ({}): cash of live applications", item["item_id"],
            item["number"],
        )  # fmt: skip
