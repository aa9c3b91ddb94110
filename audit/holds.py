"""Holds: ordered only after a sent warning, its cure days, and the approval of a named person other than the proposer;
never an older version at the access system after a newer one, above all not after the hold was lifted.
"""

import json
from collections import defaultdict
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from audit.bank_days import add_days
from audit.findings import Findings
from audit.knowledge import Knowledge
from audit.log_reader import Event, Log
from audit.stores import Row, Store

STATES = {"hold.ordered": "ordered", "hold.renewed": "renewed", "hold.lifted": "lifted"}


def check_holds(log: Log, collections: Store | None, journal: Path | None, findings: Findings) -> None:
    """Every ordered hold, every version chain, and the access system's own journal."""
    known = Knowledge(log)
    by_hold: dict[str, list[Event]] = defaultdict(list)
    for event in log.starting("hold."):
        by_hold[event.data["hold_id"]].append(event)
    approvals = {row["id"]: row for row in collections["approvals"]} if collections else None
    rows = {row["hold_id"]: row for row in collections["holds"]} if collections else {}
    for hold_id, events in by_hold.items():
        versions = sorted({event.data["version"] for event in events})
        findings.equal(list(range(1, len(versions) + 1)), versions, "hold {}: versions", hold_id)
        _check_order_of_versions(hold_id, events, findings)
        for event in events:
            if event.type == "hold.ordered":
                _check_order(event, events, known, approvals, rows.get(hold_id), findings)
    confirmed: dict[str, list[Event]] = defaultdict(list)
    for event in log.of("effect.confirmed"):
        if event.data["of"] == "hold":
            confirmed[event.data["subject_id"]].append(event)
    for hold_id, events in confirmed.items():
        _check_order_of_versions(f"{hold_id} as confirmed", events, findings)
    findings.figures["holds_ordered"] = len(log.of("hold.ordered"))
    findings.figures["holds_lifted"] = len(log.of("hold.lifted"))
    if journal is None or not journal.exists():
        findings.note("no journal of the access system: its versions were not looked at")
        return
    _check_access_system(log, by_hold, read_journal(journal), findings)


def _check_order_of_versions(name: str, events: list[Event], findings: Findings) -> None:
    """In the log no older version stands behind a newer one, above all not behind the lifting."""
    for before, after in pairwise(events):
        findings.true(
            before.data["version"] <= after.data["version"], "hold {}: version {} ({}) stands behind {} ({})", name,
            after.data["version"], after.type, before.data["version"], before.type,
        )  # fmt: skip


def _check_order(
    order: Event,
    events: list[Event],
    known: Knowledge,
    approvals: dict[str, Row] | None,
    row: Row | None,
    findings: Findings,
) -> None:
    name = f"hold {order.data['hold_id']} on {order.company} {order.data['account_id']}"
    proposal = next((e for e in events if e.type == "hold.proposed"), None)
    if not findings.true(proposal, "{} was ordered and never proposed", name):
        return
    policy = known.policy(order.company, "holds", proposal.business_date.isoformat()) or {}
    _check_approval(name, order, proposal, policy, approvals, row, findings)
    _check_warning(name, order, proposal, policy, known, findings)
    live = [
        kind
        for kind, found in (("promise", known.promises), ("plan", known.plans))
        for course in found.get((order.company, order.data["account_id"]), ())
        if (states := course.window(order.known_at)) and all(e.type in ("promise.made", "plan.agreed") for e in states)
    ]
    findings.true(not live, "{} was ordered while a {} stood", name, ", ".join(live))
    threshold = policy.get("threshold_minor", {}).get(order.data.get("currency"))
    if findings.true(
        threshold is not None, "{}: its policy names no threshold in {}", name, order.data.get("currency")
    ):
        stated = order.data["overdue_minor"]
        findings.true(stated >= threshold, "{} states {} overdue, the threshold is {}", name, stated, threshold)


def _check_approval(
    name: str,
    order: Event,
    proposal: Event,
    policy: dict,
    approvals: dict[str, Row] | None,
    row: Row | None,
    findings: Findings,
) -> None:
    approver = order.data.get("approved_by", "")
    if approver.startswith("policy:"):
        findings.true(policy.get("auto_hold"), "{} was ordered by rule, its policy wants a person", name)
        return
    findings.true(approver.startswith("user:"), "{} was approved by {!r}, no named person", name, approver)
    proposers = {proposal.actor, *((row["proposed_by"],) if row else ())}
    findings.true(approver not in proposers, "{} was approved by its proposer {}", name, approver)
    findings.true(order.data.get("approval_id"), "{} names no approval", name)
    if approvals is None:
        return
    approval = approvals.get(order.data.get("approval_id"))
    if not findings.true(approval, "{}: its approval is not there", name):
        return
    findings.equal("approved", approval["outcome"], "{}: outcome of its approval", name)
    findings.equal(approver, approval["decided_by"], "{}: who decided", name)
    findings.true(approval["decided_by"] != approval["requested_by"], "{}: maker and checker are one", name)
    findings.equal(order.data["hold_id"], approval["subject_id"], "{}: subject of its approval", name)
    if row:
        findings.equal(row["body_sha256"], approval["body_hash"], "{}: content that was approved", name)


def _check_warning(
    name: str, order: Event, proposal: Event, policy: dict, known: Knowledge, findings: Findings
) -> None:
    """A hold warning was sent, its cure days were fully over, and the items it named owe what the hold states."""
    on = proposal.business_date
    warnings = [
        e
        for e in known.log.of("notice.sent")
        if (e.company, e.data["account_id"]) == (order.company, order.data["account_id"])
        and e.data.get("kind") == "hold_warning" and e.business_date < on
    ]  # fmt: skip
    if not findings.true(warnings, "{} was proposed on {} and no hold warning had been sent", name, on):
        return
    calendar = next(
        (e.data["calendar"] for e in known.log.of("company.configured") if e.company == order.company), "XECB"
    )
    cure = int(policy.get("cure_days", 0))
    cured = [e for e in warnings if add_days(calendar, e.business_date, cure) < on]
    if not findings.true(cured, "{} was proposed on {}, the cure days of its warning of {} were not over", name, on,
                         warnings[0].business_date):  # fmt: skip
        return
    named = {item["item_id"] for e in cured for item in e.data["items"]}
    owed = sum(_owed(known, item_id, on, order.data.get("currency")) for item_id in named)
    findings.true(owed >= order.data["overdue_minor"], "{} states {} overdue, the items warned of owed {}", name,
                  order.data["overdue_minor"], owed)  # fmt: skip


def _owed(known: Knowledge, item_id: str, on: date, currency: str | None) -> int:
    """Undisputed remaining of an item at the end of a day, the most that any state of that day allows."""
    course = known.items.get(item_id)
    if course is None or course.states[0].data["currency"] != currency:
        return 0
    until = [e for e in course.states if e.business_date < on]
    then = until[-1:] + [e for e in course.states if e.business_date == on]
    return max((e.data["remaining_minor"] - e.data["disputed_minor"] for e in then), default=0)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """What the access system accepted, in its order; a last line that a kill cut short is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line)["order"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _check_access_system(
    log: Log, by_hold: dict[str, list[Event]], accepted: list[dict[str, Any]], findings: Findings
) -> None:
    newest: dict[str, dict[str, Any]] = {}
    for order in accepted:
        hold_id, version = order["hold_id"], order["version"]
        before = newest.get(hold_id)
        if before is not None:
            findings.true(
                version > before["version"], "hold {}: version {} ({}) came to the access system after {} ({})",
                hold_id, version, order["state"], before["version"], before["state"],
            )  # fmt: skip
        newest[hold_id] = order if before is None or version > before["version"] else before
        told = {e.data["version"]: STATES.get(e.type) for e in by_hold.get(hold_id, ())}
        findings.equal(told.get(version), order["state"], "hold {} version {} at the access system", hold_id, version)
    for event in log.of("effect.confirmed"):
        if event.data["of"] == "hold":
            hold_id, version = event.data["subject_id"], event.data["version"]
            there = hold_id in newest and newest[hold_id]["version"] >= version
            findings.true(there, "hold {} version {} is confirmed, the access system never took it", hold_id, version)
