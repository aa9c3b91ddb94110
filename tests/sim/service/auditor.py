"""What must hold of a run, from its inputs and its event log. Shares no code with the services.

Each check yields sentences; every sentence is a violation. The name of the check is the invariant.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tests.sim.service.business import Plan, banking_day_before
from tests.sim.service.seen import Log, Seen

MARGIN = timedelta(seconds=60)
ITEMS = ("item.",)
PAYMENTS = ("payment.identified", "payment.unidentified", "payment.applied", "payment.unapplied")
PROMISE_TABLE = {
    "made": {"kept", "partly_kept", "broken", "superseded", "cancelled"},
    "kept": {"broken", "kept"},
    "partly_kept": {"kept"},
    "broken": {"kept"},
}
NO_CASH_CAUSE = ("refunded_minor", "non_ar_minor", "returned_minor", "small_gain_minor", "unidentified_minor")


@dataclass
class Evidence:
    """A run as the auditor gets it. `mails`: (notice, records in the log when it was taken)."""

    plan: Plan
    log: Log
    mails: list[tuple[str, int]] = field(default_factory=list)
    reached: list[tuple[str, int, str]] = field(default_factory=list)
    mail_kills: int = 0
    lost_answers: int = 0
    reports: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def sequence(e: Evidence) -> Iterator[str]:
    """Per source, topic and key the numbers rise by one, in the order of the log, when duplicates are left out."""
    last: dict[tuple[str, ...], int] = defaultdict(int)
    for s in e.log.facts:
        own = f"~{s.partition}" if s.topic == "ar.payments" or s.type in ("clock.ticked", "day.closed") else s.key
        kind = "m" if s.type in ("clock.ticked", "day.closed") else "f"
        stream = (s.source, s.topic, own, kind)
        if s.sequence != last[stream] + 1:
            yield f"{stream} goes from {last[stream]} to {s.sequence} at {s.type}"
        last[stream] = s.sequence


def versions(e: Evidence) -> Iterator[str]:
    """One chain of versions per item, payment and account's cash, without a gap."""
    last: dict[tuple[str, str], int] = defaultdict(int)
    for s in e.log.of(*ITEMS, "cash.changed", *PAYMENTS, source="cash_application"):
        data = s.data
        thing = data.get("item_id") or (data.get("payment_id") if s.type in PAYMENTS else None) or data["account_id"]
        version = data["payment_version"] if s.type in PAYMENTS else data["version"]
        chain = (s.type.partition(".")[0], thing)
        if s.type not in PAYMENTS and version != last[chain] + 1:
            yield f"{chain} goes from version {last[chain]} to {version}"
        last[chain] = version


def remaining(e: Evidence) -> Iterator[str]:
    """0 <= remaining <= original, and relief with remaining is the original."""
    for s in e.log.of(*ITEMS):
        d = s.data
        if not 0 <= d["remaining_minor"] <= d["original_minor"]:
            yield f"item {d['number']} has {d['remaining_minor']} of {d['original_minor']}"
        if sum(d["relief"].values()) + d["remaining_minor"] != d["original_minor"]:
            yield f"item {d['number']}: relief {d['relief']} and {d['remaining_minor']} are not {d['original_minor']}"


def items_last(log: Log) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for s in log.of(*ITEMS):
        d = s.data
        if d["version"] > found.get(d["item_id"], {"version": 0})["version"]:
            found[d["item_id"]] = d
    return found


def payments_last(log: Log) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for s in log.of(*PAYMENTS):
        d = s.data
        if d["payment_version"] > found.get(d["payment_id"], {"payment_version": 0})["payment_version"]:
            found[d["payment_id"]] = d
    return found


def money(e: Evidence) -> Iterator[str]:
    """Every bank line of the plan is somewhere, to the cent, and nothing else is anywhere."""
    last = payments_last(e.log)
    credits = sum(line.amount_minor for line in e.plan.lines() if line.side == "credit")
    returns = sum(line.amount_minor for line in e.plan.lines() if line.kind == "return")
    booked = sum(d["amount_minor"] for d in last.values())
    if booked != credits:
        yield f"the bank credited {credits}, the ledger knows payments of {booked}"
    if (found := sum(d["returned_minor"] for d in last.values())) != returns:
        yield f"the bank took back {returns}, the ledger {found}"
    for payment_id, d in last.items():
        parts = sum(p["applied_minor"] + p["unapplied_minor"] + p["on_account_minor"] for p in d["split"])
        whole = parts + sum(d[name] for name in NO_CASH_CAUSE)
        if whole != d["amount_minor"]:
            yield f"payment {payment_id} of {d['amount_minor']} is split into {whole}"
    yield from _cash_on_items(e, last)


def _cash_on_items(e: Evidence, last: dict[str, dict[str, Any]]) -> Iterator[str]:
    items = items_last(e.log).values()
    relieved = sum(d["relief"]["cash"] * (1 if d["side"] == "debit" else -1) for d in items)
    applied = sum(part["applied_minor"] for d in last.values() for part in d["split"])
    if relieved != applied:
        yield f"items are relieved by cash of {relieved}, payments say {applied}"
    cash: dict[str, dict[str, Any]] = {}
    for s in e.log.of("cash.changed"):
        if s.data["version"] > cash.get(s.data["account_id"], {"version": 0})["version"]:
            cash[s.data["account_id"]] = s.data
    waiting = sum(c["unapplied_minor"] + c["on_account_minor"] for c in cash.values())
    of_payments = sum(p["unapplied_minor"] + p["on_account_minor"] for d in last.values() for p in d["split"])
    if waiting != of_payments:
        yield f"accounts hold cash of {waiting}, payments say {of_payments}"


def applied_once(e: Evidence) -> Iterator[str]:
    """What stands of applications is what relieves the items, and a posting names an item once."""
    standing: dict[str, dict[str, int]] = {}
    for s in e.log.of("payment.applied"):
        parts = standing.setdefault(s.data["posting_id"], {})
        for a in s.data["applications"]:
            if a["item_id"] in parts:
                yield f"posting {s.data['posting_id']} applies to item {a['item_id']} twice"
            parts[a["item_id"]] = a["cash_minor"]
    for s in e.log.of("payment.unapplied"):
        standing.pop(s.data["reverses_posting_id"], None)
    totals: dict[str, int] = defaultdict(int)
    for parts in standing.values():
        for item, minor in parts.items():
            totals[item] += minor
    for item_id, d in items_last(e.log).items():
        if d["side"] == "debit" and d["relief"]["cash"] != totals.get(item_id, 0):
            yield f"item {d['number']} is relieved by {d['relief']['cash']}, applications are {totals.get(item_id, 0)}"
    numbers = {d["number"] for d in items_last(e.log).values()}
    for document in e.plan.documents:
        if document.number not in numbers:
            yield f"document {document.number} never became an item"


def promises(e: Evidence) -> Iterator[str]:
    """States along their table, one version after the other; broken only when bank data reached the day."""
    state: dict[str, tuple[str, int]] = {}
    closed = {s.data["date"]: s.data["bank_accounts"] for s in e.log.of("day.closed", source="ingest")}
    for s in e.log.of("promise."):
        d, now = s.data, s.type.partition(".")[2]
        before, version = state.get(d["promise_id"], ("", 0))
        if now == "made" and before == "":
            pass
        elif now not in PROMISE_TABLE.get(before, set()):
            yield f"promise {d['promise_id']} goes from {before or 'nothing'} to {now}"
        if d["version"] != version + 1:
            yield f"promise {d['promise_id']} goes from version {version} to {d['version']}"
        state[d["promise_id"]] = (now, d["version"])
        if now in ("broken", "partly_kept") and before == "made":
            yield from _judged_in_time(s, closed)


def _judged_in_time(s: Seen, closed: dict[str, dict[str, str | None]]) -> Iterator[str]:
    """At the close of a day, with bank data complete through the promised day and its grace (0 business days here)."""
    reach = closed.get(s.business_date)
    due = s.data["due_on"]
    if reach is None:
        yield f"promise {s.data['promise_id']} was judged on {s.business_date}, which no marker closed"
    elif any(through is None or through < due for through in reach.values()):
        yield f"promise {s.data['promise_id']} due {due} was judged on {s.business_date} with bank data to {reach}"


def mails(e: Evidence) -> Iterator[str]:
    """At most one mail per request, each announced before; no more of unknown fate than there is cause for."""
    seen: set[str] = set()
    sending = {s.data["notice_id"].replace("-", ""): s.index for s in e.log.of("notice.sending")}
    for notice_id, at_record in e.mails:
        if notice_id in seen:
            yield f"notice {notice_id} left twice"
        seen.add(notice_id)
        if sending.get(notice_id, at_record) >= at_record:
            yield f"notice {notice_id} left before the log said so"
    unknown = len(e.log.of("notice.unknown"))
    if unknown > e.mail_kills + e.lost_answers:
        yield f"{unknown} mails are unknown, {e.mail_kills} kills and {e.lost_answers} lost answers account for fewer"


def wrongful(e: Evidence) -> Iterator[str]:
    """No notice left against a fact that was known more than 60 s before it was decided."""
    for s in e.log.of("notice.sending"):
        if s.data["notice_id"].replace("-", "") in {notice for notice, _ in e.mails}:
            known = [f for f in e.log.facts if f.index < s.index]
            yield from _against(e, s, known, datetime.fromisoformat(s.data["decided_at"]))


def _against(e: Evidence, s: Seen, known: list[Seen], at: datetime) -> Iterator[str]:
    account_id, items = s.data["account_id"], {i["item_id"]: i for i in s.data["items"]}
    candidates: dict[str, bool] = {}
    promised: dict[str, Any] = {}
    last: dict[str, dict[str, Any]] = {}
    for f in known:
        if f.known_at > at - MARGIN or f.type in ("clock.ticked", "day.closed"):
            continue
        d = f.data
        if f.type.startswith("cash.candidate") and d["account_id"] == account_id:
            candidates[d["candidate_id"]] = f.type == "cash.candidate"
        elif f.type.startswith("promise.") and d["account_id"] == account_id:
            promised[d["promise_id"]] = d["items"] if f.type == "promise.made" else []
        elif f.type.startswith("item.") and d["item_id"] in items:
            last[d["item_id"]] = d
    for f in known:  # what was taken away later than the margin does not stand against it either
        if f.type == "cash.candidate_cleared" and f.data["candidate_id"] in candidates:
            candidates[f.data["candidate_id"]] = False
        elif f.type.startswith("promise.") and f.type != "promise.made" and f.data["promise_id"] in promised:
            promised[f.data["promise_id"]] = []
    for candidate in sorted(c for c, live in candidates.items() if live):
        yield f"notice {s.data['notice_id']} to {account_id} left while cash {candidate} waited for it"
    for item_id, item in items.items():
        if any(item_id in covered for covered in promised.values()):
            yield f"notice {s.data['notice_id']} asks for item {item['number']}, which is promised"
        if item_id in last and item["remaining_minor"] > last[item_id]["remaining_minor"]:
            yield f"notice {s.data['notice_id']} asks {item['remaining_minor']} for {item['number']}, less is open"


def paid_in_plan(e: Evidence) -> Iterator[str]:
    """From the inputs alone: nobody is reminded of a document that the bank had stated as paid."""
    paid: dict[str, date] = {}
    taken_back = {line.number for line in e.plan.lines() if line.kind == "return"}
    taken_back |= {action.number for day in e.plan.days for action in day.morning if action.what == "unapply"}
    for n, day in enumerate(e.plan.days):
        late = banking_day_before(day.on) == e.plan.gap_on
        known_on = e.plan.days[n + 1].on if late and n + 1 < len(e.plan.days) else day.on
        for line in day.lines:
            if line.kind in ("right", "reference", "double") and not (late and n + 1 == len(e.plan.days)):
                paid.setdefault(line.number, known_on)
    for s in e.log.of("notice.sending"):
        on = datetime.fromisoformat(s.data["decided_at"]).date()
        for item in s.data["items"]:
            number = item["number"]
            if number in paid and number not in taken_back and paid[number] <= on:
                yield f"notice {s.data['notice_id']} of {on} asks for {number}, which was paid by {paid[number]}"


def holds(e: Evidence) -> Iterator[str]:
    """The access system never gets an older version of a hold after a newer one."""
    newest: dict[str, tuple[int, str]] = {}
    for hold_id, version, state in e.reached:
        known, was = newest.get(hold_id, (0, ""))
        if version < known:
            yield f"hold {hold_id}: version {version} ({state}) came after {known} ({was})"
        newest[hold_id] = max((known, was), (version, state))


def reports(e: Evidence) -> Iterator[str]:
    """Reporting's rows are a fold of the log, and its own reconciliation with the markers' totals is clean."""
    if not e.reports:
        return
    items = {d["item_id"]: d["remaining_minor"] for d in items_last(e.log).values()}
    found = {str(row["item_id"]): row["remaining_minor"] for row in e.reports["item"]}
    if items != found:
        yield f"reporting has other items than the log: {sorted(set(items.items()) ^ set(found.items()))[:4]}"
    received = {s.data["payment_id"]: s.data["amount_minor"] for s in e.log.of("payment.received")}
    rows = {str(row["payment_id"]): row["amount_minor"] for row in e.reports["receipt"]}
    if received != rows:
        yield f"reporting has other receipts than the log: {sorted(set(received.items()) ^ set(rows.items()))[:4]}"
    postings: dict[str, int] = defaultdict(int)
    for row in e.reports["item_posting"]:
        postings[str(row["item_id"])] += row["remaining_delta_minor"]
    if dict(postings) != items:
        apart = sorted(set(items.items()) ^ set(postings.items()))[:4]
        yield f"the changes of items do not sum to their state: {apart}"
    for row in e.reports["reconciliation"]:
        if row["difference_minor"]:
            yield f"reconciliation of {row['date']}: {dict(row)}"


def totals(e: Evidence) -> Iterator[str]:
    """The totals in each marker of the ledger are a fold of the log before it, by the day on which it counts."""
    for closed in {s.data["date"]: s.data for s in e.log.of("day.closed", source="cash_application")}.values():
        last: dict[str, dict[str, Any]] = {}
        for s in e.log.before_close("ar.ledger", closed["date"]):
            if s.type.startswith("item.") and (s.data["accounted_on"] or "") <= closed["date"]:
                last[s.data["item_id"]] = s.data
        for side in ("debit", "credit"):
            own = sum(d["remaining_minor"] for d in last.values() if d["side"] == side)
            said = closed["totals"].get("items", {}).get("EUR", {}).get(f"{side}_minor", 0)
            if own != said:
                yield f"the marker of {closed['date']} says {said} open on the {side} side, the log {own}"


CHECKS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    sequence, versions, remaining, money, applied_once, promises, mails, wrongful, paid_in_plan, holds, reports, totals,
)  # fmt: skip


def audit(e: Evidence) -> list[tuple[str, str]]:
    """(invariant, what is wrong) of everything that is wrong."""
    return [(check.__name__, sentence) for check in CHECKS for sentence in check(e)]


def unknown_apart(mine: Log, other: Log) -> frozenset[str]:
    """Accounts with a mail whose fate is unknown in one run alone: its sender ended with the mail in hand.

    No warning counts as sent there, so that the account is warned again later or not held: right, and different.
    """
    here, there = (
        {s.data["notice_id"]: s.data["account_id"] for s in log.of("notice.unknown")} for log in (mine, other)
    )
    return frozenset((here | there)[notice_id] for notice_id in here.keys() ^ there.keys())


def days(log: Log, plan: Plan, without: frozenset[str]) -> dict[str, Any]:
    """State at each day's close, from the log before its markers: balances, promises, holds, notices by account.

    `without`: accounts of which holds and notices are left out.
    """
    return {str(day.on): _state(log, str(day.on), without) for day in plan.days}


def _state(log: Log, day: str, without: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"balance": defaultdict(int), "promise": {}, "hold": {}, "notice": {}, "outcome": {}}
    items: dict[str, dict[str, Any]] = {}
    for s in log.before_close("ar.ledger", day):
        if s.type.startswith("item."):
            items[s.data["item_id"]] = s.data
        elif s.type == "cash.changed":
            cash = s.data["unapplied_minor"] + s.data["on_account_minor"]
            found["balance"][f"cash of {s.data['account_id']}"] = cash
    for d in items.values():
        sign = 1 if d["side"] == "debit" else -1
        found["balance"][d["account_id"]] += sign * d["remaining_minor"]
    for s in log.before_close("ar.collections", day):
        kind, _, what = s.type.partition(".")
        if s.data.get("account_id") in without and kind in ("hold", "notice"):
            continue
        if kind == "promise":
            found["promise"][s.data["promise_id"]] = (what, sum(r["amount_minor"] for r in s.data["received"]))
        elif kind == "hold":
            found["hold"][s.data["hold_id"]] = what
        elif kind == "notice":
            found["notice"][s.data["notice_id"]] = sorted((i["number"], i["remaining_minor"]) for i in s.data["items"])
    for s in log.before_close("ar.notifications", day):
        if s.type.startswith("notice.") and s.data["account_id"] not in without:
            found["outcome"][s.data["notice_id"]] = s.type
    found["balance"] = {name: minor for name, minor in found["balance"].items() if minor}
    return found


def differences(mine: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """Where two runs of the same inputs differ, day by day."""
    for day, state in other.items():
        for part, values in state.items():
            here = mine[day][part]
            if here != values:
                names = sorted(str(k) for k in {*here, *values} if here.get(k) != values.get(k))
                shown = {n: (here.get(n), values.get(n)) for n in names[:2]}
                yield f"{part} at the close of {day}: {shown}"
