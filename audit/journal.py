"""The journal by itself: every entry balances, nothing lacks its other half, every reversal is typed and exact.

Signed minor units: debit positive, credit negative.
"""

from collections import Counter, defaultdict
from decimal import Decimal

from audit.findings import Findings
from audit.money import convert
from audit.stores import Row, Store

REVERSES = {
    "RETURN": ("RECEIPT",),
    "UNAPPLICATION": ("APPLICATION", "RECEIPT", "RETURN"),
    "CREDIT_USE_REVERSED": ("CREDIT_USE",),
    "REFUND_CANCELLED": ("REFUND_APPROVED",),
    "DOCUMENT_CANCELLED": ("DOCUMENT",),
    "CASH_MOVE": ("CASH_MOVE",),
}
WHOLE = ("CREDIT_USE_REVERSED", "REFUND_CANCELLED")
BANK_KINDS = frozenset({"RECEIPT", "RETURN", "BANK_DEBIT", "REFUND_PAID"})
FEED_KINDS = frozenset({"DOCUMENT", "DOCUMENT_CANCELLED"})
RELIEVED = ("cash", "discount", "small_difference", "bank_charge")
BASE_SLACK_MINOR = 1
"""Base amounts step cumulatively: a step may differ from the conversion of its own amount by one minor unit."""


def kind_of(posting: Row) -> str:
    return posting["kind"].upper()


def check_journal(store: Store, findings: Findings) -> None:
    """Every check of entries that needs nothing but the journal and the rows it explains."""
    postings = {row["posting_id"]: row for row in store["postings"]}
    lines: dict[str, list[Row]] = defaultdict(list)
    for line in store["lines"]:
        lines[line["posting_id"]].append(line)
    for posting_id in sorted(set(lines) - set(postings)):
        findings.true(False, "entry {}: {} lines stand without the entry itself", posting_id, len(lines[posting_id]))
    for posting_id, posting in postings.items():
        _check_entry(posting, lines.get(posting_id, []), findings)
        _check_reversal(posting, postings, lines, findings)
    _check_base(store, postings, findings)
    _check_applications(store, lines, postings, findings)
    _check_credit_uses(store, lines, postings, findings)
    findings.figures["entries"] = len(postings)
    findings.figures["lines"] = len(store["lines"])


def _check_entry(posting: Row, lines: list[Row], findings: Findings) -> None:
    posting_id, kind = posting["posting_id"], kind_of(posting)
    name = f"{kind.lower()} entry {posting_id}"
    if not findings.true(lines, "{} has no lines", name):
        return
    by_tag: Counter[str] = Counter()
    for line in lines:
        by_tag[line["bank_account"]] += line["amount_minor"]
    for tag, amount in by_tag.items():
        findings.equal(0, amount, "{} in {} for bank account {!r} does not balance", name, posting["currency"], tag)
    findings.equal(0, sum(line["base_minor"] for line in lines), "{} does not balance in base currency", name)
    strange = {(row["company"], row["currency"], row["accounted_on"]) for row in lines}
    expected = {(posting["company"], posting["currency"], posting["accounted_on"])}
    findings.equal(expected, strange, "{}: company, currency and day of its lines", name)
    ledgers = {line["ledger"] for line in lines}
    if kind not in BANK_KINDS:
        findings.true("BANK" not in ledgers, "{} touches the bank, which only bank lines may", name)
    if kind in FEED_KINDS:
        findings.equal("feed", posting["origin"], "{}: origin", name)
    else:
        findings.true("ERP_CONTROL" not in ledgers, "{} touches ERP_CONTROL, which only documents may", name)


def _check_reversal(posting: Row, postings: dict[str, Row], lines: dict[str, list[Row]], findings: Findings) -> None:
    reversed_id, kind = posting["reverses_posting_id"], kind_of(posting)
    if reversed_id is None:
        findings.true(
            kind not in ("UNAPPLICATION", "CREDIT_USE_REVERSED"), "{} entry {} says not what it reverses", kind.lower(),
            posting["posting_id"],
        )  # fmt: skip
        return
    original = postings.get(reversed_id)
    if not findings.true(original, "entry {} reverses {}, which is not there", posting["posting_id"], reversed_id):
        return
    name = f"{kind.lower()} entry {posting['posting_id']}"
    allowed = REVERSES.get(kind, ())
    findings.true(kind_of(original) in allowed, "{} reverses a {} entry", name, original["kind"])
    for field in ("company", "currency", "base_currency"):
        findings.equal(original[field], posting[field], "{}: {} of what it reverses", name, field)
    if kind in WHOLE:
        taken, given = _sums(lines[reversed_id], -1), _sums(lines[posting["posting_id"]], 1)
        findings.equal(taken, given, "{} is not the exact opposite of {}", name, reversed_id)


def _sums(lines: list[Row], sign: int) -> dict[tuple, int]:
    sums: Counter[tuple] = Counter()
    for line in lines:
        place = (line["ledger"], line["account_id"], line["item_id"], line["payment_id"], line["bank_account"])
        sums[place] += sign * line["amount_minor"]
    return {place: amount for place, amount in sums.items() if amount}


def _check_base(store: Store, postings: dict[str, Row], findings: Findings) -> None:
    """Base amounts follow from the rate of the item, the payment or the entry; the same currency has one amount.

    What is granted beside cash (discount, small difference, fee) goes at the rate of the item that it relieves.
    """
    rates = {row["item_id"]: row["rate"] for row in store["items"]}
    paid = {row["payment_id"]: row["rate"] for row in store["receipts"]}
    touched: dict[str, set[str]] = defaultdict(set)
    for line in store["lines"]:
        if line["item_id"]:
            touched[line["posting_id"]].add(line["item_id"])
    for line in store["lines"]:
        posting = postings.get(line["posting_id"])
        if posting is None or line["ledger"] == "FXR":
            continue
        name = (line["posting_id"], line["ledger"])
        currency, base = posting["currency"], posting["base_currency"]
        if currency == base:
            findings.equal(line["amount_minor"], line["base_minor"], "entry {}, line of {}: base amount", *name)
            continue
        known = {paid.get(line["payment_id"]), _printed_rate(posting, base)}
        known |= {
            rates.get(item_id) for item_id in ([line["item_id"]] if line["item_id"] else touched[line["posting_id"]])
        }
        known -= {None}
        near = [convert(line["amount_minor"], currency, base, Decimal(rate)) for rate in known]
        holds = not near or min(abs(line["base_minor"] - amount) for amount in near) <= BASE_SLACK_MINOR
        findings.true(
            holds, "entry {}, line of {}: base amount {} of {} {} fits none of the rates {}", *name, line["base_minor"],
            line["amount_minor"], currency, sorted(map(str, known)),
        )  # fmt: skip


def _printed_rate(posting: Row, base: str) -> Decimal | None:
    """The rate that an entry names, such as `EUR/USD@2026-01-05=1.25`, as base for one unit of its currency."""
    pair, _, text = posting["rate_id"].partition("@")
    _, _, rate = text.partition("=")
    if not rate:
        return None
    return Decimal(rate) if pair.endswith(f"/{base}") else 1 / Decimal(rate)


def _check_applications(
    store: Store, lines: dict[str, list[Row]], postings: dict[str, Row], findings: Findings
) -> None:
    """Per entry, item and funding: what its lines relieve = its applications less those that it reverses."""
    signs = {row["item_id"]: 1 if row["side"] == "debit" else -1 for row in store["items"]}
    said: Counter[tuple[str, str, str]] = Counter()
    for row in store["applications"]:
        for funding in RELIEVED:
            said[row["posting_id"], row["item_id"], funding] += row[f"{funding}_minor"]
            if row["reversed_by"]:
                said[row["reversed_by"], row["item_id"], funding] -= row[f"{funding}_minor"]
        _check_application(row, postings, findings)
    done: Counter[tuple[str, str, str]] = Counter()
    openings = first_lines(store)
    for posting_id, own in lines.items():
        for line in own:
            if line["item_id"] and line["funding"] in RELIEVED and line["id"] != openings.get(line["item_id"]):
                amount = -signs.get(line["item_id"], 1) * line["amount_minor"]
                done[posting_id, line["item_id"], line["funding"]] += amount
    for key in sorted(set(said) | set(done)):
        findings.equal(said[key], done[key], "entry {}, item {}: applied by {} according to its lines", *key)


def _check_application(row: Row, postings: dict[str, Row], findings: Findings) -> None:
    posting = postings.get(row["posting_id"])
    name = f"application of payment {row['payment_id']} on item {row['item_id']}"
    if findings.true(posting, "{}: its entry {} is not there", name, row["posting_id"]):
        findings.equal(posting["payment_id"], row["payment_id"], "{}: payment of its entry", name)
    if row["reversed_by"]:
        by = postings.get(row["reversed_by"])
        if findings.true(by, "{}: the entry {} that reversed it is not there", name, row["reversed_by"]):
            findings.true(kind_of(by) in ("UNAPPLICATION", "RETURN"), "{} was reversed by a {} entry", name, by["kind"])


def _check_credit_uses(store: Store, lines: dict[str, list[Row]], postings: dict[str, Row], findings: Findings) -> None:
    for use in store["credit_uses"]:
        name = f"credit {use['credit_item_id']} on item {use['debit_item_id']}"
        for field, sign in (("posting_id", 1), ("reversed_by", -1)):
            if use[field] is None:
                continue
            if not findings.true(use[field] in postings, "{}: its entry {} is not there", name, use[field]):
                continue
            relieved = sum(x["amount_minor"] for x in lines[use[field]] if x["item_id"] == use["debit_item_id"])
            findings.equal(-sign * use["amount_minor"], relieved, "{}: line of entry {}", name, use[field])


def first_lines(store: Store) -> dict[str, int]:
    """Per item, the id of the line that opened it."""
    first: dict[str, int] = {}
    for line in store["lines"]:
        if line["item_id"]:
            first.setdefault(line["item_id"], line["id"])
    return first
