"""Certificates: one for every posting and suggestion that no person made, small enough, and true to what was posted.

Amount-only postings are derived again from the journal as of the snapshot that the certificate names: the item was the
only one of its amount, and the chance hits lambda stay within the policy.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from itertools import combinations
from math import comb, gcd

from audit.findings import Findings
from audit.journal import kind_of
from audit.log_reader import Event, Log
from audit.stores import Row, Store

BYTES_MAX = 4096
LAMBDA_MAX = Fraction(1, 1000)
SUBSETS_MAX = 20_000
ITEMS_IN_SET_MAX = 4
BY_PERSON = ("manual", "suggestion/", "on_account")
WITHOUT_CERTIFICATE = frozenset({"returned_before"})
RELIEF = ("cash_minor", "discount_minor", "small_difference_minor", "bank_charge_minor", "deduction_minor")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`xmin:xmax:xip,…` of the database: which transactions had been committed."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def of(cls, text: str) -> "Snapshot":
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(x) for x in running.split(",") if x))

    def sees(self, xid: int) -> bool:
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


def check_certificates(store: Store, log: Log, findings: Findings) -> None:
    """Presence, size, agreement with the postings, and lambda."""
    certificates = {row["certificate_id"]: row for row in store["certificates"]}
    contents = {key: json.loads(row["content"]) for key, row in certificates.items()}
    for key, content in contents.items():
        size = len(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode())
        findings.true(size <= BYTES_MAX, "certificate {} has {} bytes", key, size)
    applied: dict[str, list[Row]] = defaultdict(list)
    for row in store["applications"]:
        applied[row["posting_id"]].append(row)
    history = History(store)
    by_amount = 0
    policies = _policies(log)
    _check_policies(policies, certificates, contents, findings)
    for posting in store["postings"]:
        if not needs_certificate(posting, applied.get(posting["posting_id"], [])):
            continue
        row = certificates.get(posting["certificate_id"])
        if not findings.true(row, "entry {} of rule {} has no certificate", posting["posting_id"], posting["rule"]):
            continue
        content = contents[posting["certificate_id"]]
        _check_posting(posting, row, content, applied.get(posting["posting_id"], []), policies, findings)
        if content.get("rule", "").startswith("exact_amount") and content.get("outcome") == "posted":
            by_amount += 1
            _check_amount_alone(posting, row, content, applied[posting["posting_id"]], history, policies, findings)
    for suggestion in store["suggestions"]:
        there = suggestion["certificate_id"] in certificates
        findings.true(
            there, "suggestion {} of payment {} has no certificate", suggestion["rank"], suggestion["payment_id"]
        )
    for event in log.of("payment.applied", "payment.suggested"):
        if event.data.get("automatic", True) and event.data.get("rule") not in WITHOUT_CERTIFICATE:
            _check_told(event, certificates, findings)
    findings.figures["certificates"] = len(certificates)
    findings.figures["postings_by_amount_alone"] = by_amount
    findings.figures["applied_by_rule"] = dict(sorted(counted_rules(store).items()))


def needs_certificate(posting: Row, applied: list[Row]) -> bool:
    """Whether a rule, and no person, decided the entry."""
    kind, rule = kind_of(posting), posting["rule"]
    if kind == "RECEIPT":
        return rule not in WITHOUT_CERTIFICATE
    return kind == "APPLICATION" and bool(applied) and not rule.startswith(BY_PERSON)


def _check_told(event: Event, certificates: dict[str, Row], findings: Findings) -> None:
    told = event.data.get("certificate_id")
    put_back = event.type == "payment.applied" and told is None and event.data.get("returned_minor")
    if not put_back:
        findings.true(told in certificates, "{} {}: its certificate {} is not there", event.type, event.id, told)


def _policies(log: Log) -> dict[tuple[str, str], list[dict]]:
    """Per company and `name@version`, the activated contents."""
    found: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for event in log.of("policy.activated"):
        found[event.company, f"{event.data['name']}@{event.data['version']}"].append(event.data)
    return found


def _check_policies(
    policies: dict, certificates: dict[str, Row], contents: dict[str, dict], findings: Findings
) -> None:
    """Each certificate names a policy by the hash of what was activated; while none was, by one and the same hash."""
    activated: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (company, label), found in policies.items():
        for policy in found:
            name = f"policy {label} of {company}"
            findings.equal(policy["sha256"], content_hash(policy["content"]), "{}: hash of its content", name)
            activated[company, policy["name"]].add(f"{label} {policy['sha256']}")
    first: dict[tuple[str, str], str] = {}
    for key, content in contents.items():
        company, label = certificates[key]["company"], content.get("policy", "")
        told = f"{label} {content.get('policy_sha256')}"
        known = activated.get((company, label.partition("@")[0])) or {first.setdefault((company, label), told)}
        findings.true(told in known, "certificate {}: {} is no policy that was activated", key, told)


def content_hash(content: dict) -> str:
    """SHA-256 of the canonical JSON of a policy."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


def _check_posting(
    posting: Row, row: Row, content: dict, applied: list[Row], policies: dict, findings: Findings
) -> None:
    name = f"certificate {row['certificate_id']} of entry {posting['posting_id']}"
    findings.equal(posting["payment_id"], row["payment_id"], "{}: payment", name)
    if row["posting_id"] is not None:
        findings.equal(posting["posting_id"], row["posting_id"], "{}: entry", name)
    findings.equal(posting["rule"], content.get("rule"), "{}: rule", name)
    if posting["policy"]:
        findings.equal(posting["policy"], content.get("policy"), "{}: policy", name)
    posted = {a["item_id"]: sum(a[part] for part in RELIEF) for a in applied}
    chosen = content.get("chosen", [])
    told = {entry[0]: entry[3] for entry in chosen}
    if "chosen_count" in content:
        findings.equal(content["chosen_count"], len(posted), "{}: number of chosen items", name)
        posted = {item_id: minor for item_id, minor in posted.items() if item_id in told}
    findings.equal(posted, told, "{}: chosen items with their amounts and those posted", name)
    if applied and kind_of(posting) == "RECEIPT":
        cash = sum(a["cash_minor"] if a["side"] == "debit" else -a["cash_minor"] for a in applied)
        gain = sum(a["gain_minor"] for a in applied)
        findings.equal(content.get("gain", 0), gain, "{}: small gain", name)
        findings.true(cash + content.get("left", 0) + gain > 0, "{}: nothing is applied and nothing left", name)


class History:
    """What remained of items at an earlier moment, from the lines and the transactions that wrote them."""

    def __init__(self, store: Store) -> None:
        self.items = {row["item_id"]: row for row in store["items"]}
        self.xids = {row["posting_id"]: int(row["xid"]) for row in store["postings"]}
        self.lines: dict[str, list[Row]] = defaultdict(list)
        self.first: dict[str, int] = {}
        self.of_account: dict[tuple[str, str], set[str]] = defaultdict(set)
        for line in store["lines"]:
            self.first.setdefault(line["posting_id"], line["id"])
            if line["item_id"]:
                self.lines[line["item_id"]].append(line)
                self.of_account[line["company"], line["account_id"]].add(line["item_id"])

    def remaining(self, item_id: str, snapshot: Snapshot, xid: int, before: int) -> int:
        """Remaining as of a snapshot, with what the same transaction wrote in lines before `before`."""
        sign = 1 if self.items[item_id]["side"] == "debit" else -1
        total = 0
        for line in self.lines[item_id]:
            written = self.xids.get(line["posting_id"], 0)
            if line["id"] < before if written == xid else snapshot.sees(written):
                total += sign * line["amount_minor"]
        return total


def _check_amount_alone(
    posting: Row, row: Row, content: dict, applied: list[Row], history: History, policies: dict, findings: Findings
) -> None:
    name = f"entry {posting['posting_id']} by amount alone"
    bound = _bound(policies, posting)
    stated = [
        Fraction(Decimal(rung["lambda"]))
        for rung in content["rungs"]
        if rung.get("outcome") == "posted" and "lambda" in rung
    ]
    if findings.true(stated, "{}: its certificate states no lambda", name):
        findings.true(stated[0] <= bound, "{}: lambda {} is over {}", name, stated[0], bound)
    if not findings.equal(1, len(applied), "{}: items", name) or applied[0]["item_id"] not in history.items:
        return
    item = history.items[applied[0]["item_id"]]
    snapshot, xid = Snapshot.of(row["snapshot"]), int(row["xid"])
    before = history.first.get(posting["posting_id"], 0)
    same = [history.items[i] for i in history.of_account[posting["company"], item["account_id"]] if i in history.items]
    payable = [i for i in same if i["side"] == "debit" and i["currency"] == item["currency"]]
    if any(i["disputed_minor"] for i in payable):
        return
    amounts = [r for i in payable if (r := history.remaining(i["item_id"], snapshot, xid, before)) > 0]
    relief = applied[0]["cash_minor"]
    if applied[0]["discount_minor"]:
        return
    findings.true(relief in amounts, "{}: no item of {} was open for {} then", name, item["account_id"], relief)
    findings.true(amounts.count(relief) <= 1, "{}: {} items were open for {}", name, amounts.count(relief), relief)
    least = chance_at_least(relief, amounts)
    if least is not None:
        findings.true(least <= bound, "{}: lambda counted again is at least {}", name, least)


def _bound(policies: dict, posting: Row) -> Fraction:
    for policy in policies.get((posting["company"], posting["policy"]), ()):
        return Fraction(str(policy["content"].get("lambda_max", "0.001")))
    return LAMBDA_MAX


def chance_at_least(amount: int, amounts: list[int]) -> Fraction | None:
    """Lower bound of lambda: subsets of up to four items in the window of 10 % around the amount, times the grid over
    window and grid. None where there are too many subsets to count."""
    sizes = range(1, ITEMS_IN_SET_MAX + 1)
    if sum(comb(len(amounts), size) for size in sizes) > SUBSETS_MAX:
        return None
    half = amount // 20
    sums: Iterable[int] = (sum(chosen) for size in sizes for chosen in combinations(amounts, size))
    count = sum(abs(total - amount) <= half for total in sums)
    distinct = {*amounts, amount}
    common = gcd(*distinct) if len(distinct) >= 3 else 1
    step = max(_roundness(amount), common)
    return Fraction(count * step) / (Fraction(amount, 10) + step)


def _roundness(amount: int) -> int:
    """Largest 1, 2 or 5 x 10^k that divides the amount."""
    return max(s * 10**k for k in range(len(str(amount))) for s in (1, 2, 5) if amount % (s * 10**k) == 0)


def counted_rules(store: Store) -> Counter[str]:
    """Entries that applied something, by rule."""
    with_items = {row["posting_id"] for row in store["applications"]}
    return Counter(row["rule"] for row in store["postings"] if row["posting_id"] in with_items)
