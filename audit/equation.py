"""The money equation per company, bank account and currency: from the journal, from the log, and line by line.

opening + credits - debits = applied + on account + unapplied + unidentified + refunds payable + non-AR + transferred
out - transferred in + small gains - bank charges - debits not yet explained. Opening is 0: the lines posted count.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from audit.findings import Findings
from audit.log_reader import Event, Log
from audit.stores import Row, Store

TERM_OF: Mapping[str, tuple[str, int]] = {
    "AR": ("applied", -1),
    "AR_DED": ("applied", -1),
    "ONACC": ("on_account", -1),
    "UNAPP": ("unapplied", -1),
    "UNID": ("unidentified", -1),
    "REFUND": ("refunds_payable", -1),
    "NON_AR": ("non_ar", -1),
    "SMALL": ("small_gains", -1),
    "BANKFEE": ("bank_charges", 1),
    "SUSPENSE": ("not_explained", 1),
}
PLUS = ("applied", "on_account", "unapplied", "unidentified", "refunds_payable", "non_ar", "small_gains")
MINUS = ("bank_charges", "not_explained")
DEBIT_EVENTS = ("payment.returned", "bank_debit.received")
Key = tuple[str, str, str]
Terms = dict[Key, Counter[str]]


def terms(lines: list[Row]) -> Terms:
    """Terms per (company, bank account, currency) from journal lines."""
    found: Terms = defaultdict(Counter)
    for line in lines:
        if not line["bank_account"]:
            continue
        term = found[line["company"], line["bank_account"], line["currency"]]
        amount = line["amount_minor"]
        if line["ledger"] == "BANK":
            term["credits" if amount > 0 else "debits"] += abs(amount)
        elif line["ledger"] in TERM_OF:
            name, sign = TERM_OF[line["ledger"]]
            term[name] += sign * amount
        else:
            term[f"strange {line['ledger']}"] += amount
    return found


def difference(term: Mapping[str, int]) -> int:
    """Left side less right side."""
    left = term["credits"] - term["debits"]
    return left - sum(term[name] for name in PLUS) + sum(term[name] for name in MINUS)


def signed_debit(event: Event) -> int:
    """What a debit event takes from the bank account: the amount and, of a return, the bank's own fee beside it."""
    return -(event.data["amount_minor"] + event.data.get("fee_minor", 0))


def place(event: Event) -> Key:
    return event.company, event.data["bank_account"], event.data["currency"]


def check_journal_equation(store: Store, findings: Findings) -> Terms:
    """The equation from lines, and its terms against what payments, refunds and open debits say of themselves."""
    found = terms(store["lines"])
    stated = _stated(store)
    for key in sorted(set(found) | set(stated)):
        findings.equal(0, difference(found[key]), "money equation of {} {} {} in the journal", *key)
        strange = [name for name in found[key] if name.startswith("strange")]
        findings.true(not strange, "{} {} {}: ledgers {} carry bank cash and are no term", *key, strange)
        for name in ("applied", "on_account", "unapplied", "unidentified", "small_gains", "not_explained"):
            findings.equal(stated[key][name], found[key][name], "{} {} {}: " + name + " by rows and by lines", *key)
    findings.figures["money_equation"] = {" ".join(key): dict(sorted(found[key].items())) for key in sorted(found)}
    return found


def _stated(store: Store) -> Terms:
    """The terms as the rows of payments, charges and waiting debits state them."""
    found: Terms = defaultdict(Counter)
    keys = {r["payment_id"]: (r["company"], r["bank_account"], r["currency"]) for r in store["receipts"]}
    for receipt in store["receipts"]:
        term = found[keys[receipt["payment_id"]]]
        term["unidentified"] += receipt["unidentified_minor"]
        term["small_gains"] += receipt["gain_minor"]
    for part in store["parts"]:
        if part["payment_id"] in keys:
            for name in ("applied", "unapplied", "on_account"):
                found[keys[part["payment_id"]]][name] += part[f"{name}_minor"]
    for item in store["items"]:
        if item["kind"] == "charge" and item["document_id"] in keys:
            found[keys[item["document_id"]]]["applied"] -= item["original_minor"]
    for debit in store["open_debits"]:
        found[debit["company"], debit["bank_account"], debit["currency"]]["not_explained"] += debit["left_minor"]
    return found


def check_log_equation(log: Log, findings: Findings) -> None:
    """From the log alone: every credit of the banks has one split that sums to it."""
    received = {event.data["payment_id"]: event for event in log.of("payment.received") if event.data["amount_minor"]}
    states = latest_payments(log)
    for payment_id in sorted(set(states) - set(received)):
        findings.true(False, "the ledger tells of payment {}, which no bank booked", payment_id)
    left: Terms = defaultdict(Counter)
    for payment_id, event in received.items():
        state = states.get(payment_id)
        if not findings.true(state, "payment {} of {} was booked by the bank, the ledger is silent", payment_id,
                             event.data["amount_minor"]):  # fmt: skip
            continue
        for name in ("amount_minor", "currency", "bank_account"):
            findings.equal(event.data[name], state.data[name], "payment {}: {} in the ledger", payment_id, name)
        findings.equal(
            state.data["amount_minor"], split_sum(state), "payment {}: sum of its split in the log", payment_id
        )
        left[place(event)]["credits"] += event.data["amount_minor"]
        left[place(event)]["split"] += split_sum(state)
    for key, term in left.items():
        findings.equal(term["credits"], term["split"], "{} {} {}: credits and the splits of all payments", *key)


def latest_payments(log: Log) -> dict[str, Event]:
    """Per payment, the event of ar.ledger with the highest version."""
    latest: dict[str, Event] = {}
    for event in log.starting("payment."):
        if event.topic == "ar.ledger" and "payment_version" in event.data:
            known = latest.get(event.data["payment_id"])
            if known is None or known.data["payment_version"] < event.data["payment_version"]:
                latest[event.data["payment_id"]] = event
    return latest


def split_sum(event: Event) -> int:
    """Sum of the places of a payment."""
    data = event.data
    parts = sum(p["applied_minor"] + p["unapplied_minor"] + p["on_account_minor"] for p in data["split"])
    whole = ("unidentified", "refunded", "non_ar", "returned", "small_gain")
    return parts + sum(data[f"{name}_minor"] for name in whole)


def check_bank_lines_in_journal(store: Store, log: Log, found: Terms, findings: Findings) -> None:
    """Each credit and debit that the log brought is in the journal once, with its amount, currency and bank account."""
    booked: dict[str, Counter[Key]] = defaultdict(Counter)
    causes = {row["posting_id"]: row["cause_id"] for row in store["postings"]}
    for line in store["lines"]:
        if line["ledger"] == "BANK":
            key = (line["company"], line["bank_account"], line["currency"])
            booked[causes.get(line["posting_id"], "")][key] += line["amount_minor"]
    totals: Terms = defaultdict(Counter)
    credits = [(event, event.data["amount_minor"]) for event in log.of("payment.received")]
    debits = [(event, signed_debit(event)) for event in log.of(*DEBIT_EVENTS)]
    for event, signed in credits + debits:
        if not signed:
            continue
        told = {place(event): signed}
        findings.equal(
            told, dict(booked.pop(event.id, {})), "{} {}: lines of the bank in the journal", event.type, event.id
        )
        totals[place(event)]["credits" if signed > 0 else "debits"] += abs(signed)
    for cause, amounts in booked.items():
        findings.true(
            False, "entries caused by {} book {} at the bank, no bank line says so", cause or "nothing", dict(amounts)
        )
    for key in sorted(set(totals) | set(found)):
        for side in ("credits", "debits"):
            findings.equal(
                totals[key][side], found[key][side], "{} {} {}: " + side + " in the log and in the journal", *key
            )
