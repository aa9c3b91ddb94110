"""Access holds: proposed by rule, decided by a person, renewed and lifted by rule. Gates of H5.

Invariants: only what was warned of counts, after its cure days; nothing is ordered without a named person unless the
policy says `auto_hold`; what ends a hold ends it at once, whatever else is pending.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from services.collections.domain.activities import Task, by_rule
from services.collections.domain.case import Case
from services.collections.domain.exposure import Claim, overdue, sums
from services.collections.domain.policy import HoldPolicy
from services.collections.domain.rows import Approval, Hold
from services.collections.domain.rules import Rules
from shared import money
from shared.calendars import add_business_days
from shared.events.collections import (
    HoldLifted,
    HoldOrdered,
    HoldProposed,
    HoldRefused,
    HoldRenewed,
    HoldState,
    HoldWithdrawn,
)
from shared.events.facts import Fact
from shared.ids import derive

TARGETS_MAX = 100
BY_RULE = "service:collections"


def warned(case: Case, on: date) -> list[Claim]:
    """Overdue claims that a hold warning named and that no live promise covers."""
    return [claim for claim in overdue(case, on) if claim.item.warned_on is not None and not claim.promised]


def over_threshold(found: list[Claim], policy: HoldPolicy) -> tuple[str, int] | None:
    """Currency and sum of the claims that reach their threshold, the largest excess first; None if none does."""
    totals = sums(found, lambda claim: claim.net_minor)
    reached = [
        (amount - policy.threshold_minor[currency], currency, amount)
        for currency, amount in totals.items()
        if currency in policy.threshold_minor and amount >= policy.threshold_minor[currency]
    ]
    if not reached:
        return None
    _, currency, amount = max(reached, key=lambda entry: (entry[0], entry[1]))
    return currency, amount


def reason_to_end(case: Case, rules: Rules) -> str | None:
    """Why no hold may stand on the account, None while it may."""
    if rules.holds is None:
        return "no_policy"
    if case.live_promises():
        return "promise"
    found = warned(case, rules.on)
    if over_threshold(found, rules.holds) is None:
        return "below_threshold" if found else "nothing_overdue"
    return None


def propose(case: Case, rules: Rules, at: datetime) -> tuple[Hold, list[Fact]] | None:
    """The proposal of a hold at the close of a day, or None. With `auto_hold` it is ordered in the same step."""
    policy = rules.holds
    if policy is None or not _may_be_proposed(case, rules, policy):
        return None
    ripe = [claim for claim in warned(case, rules.on) if _cured(claim, rules, policy)]
    reached = over_threshold(ripe, policy)
    if reached is None or max(claim.days_past_due for claim in ripe) < policy.days_past_due_min:
        return None
    hold = _proposal(case, rules, policy, reached, at)
    case.put(hold)
    facts: list[Fact] = [fact_of(hold, HoldProposed)]
    if policy.auto_hold:
        return hold, [*facts, *order(case, hold, at, approved_by=f"policy:{rules.holds_label}", approval_id=None)]
    case.put(approval_of(case, hold))
    return hold, facts


def order(case: Case, hold: Hold, at: datetime, approved_by: str, approval_id: UUID | None) -> list[Fact]:
    """The approved hold goes out to the access system."""
    ordered = replace(
        hold,
        status="ordered",
        version=hold.version + 1,
        from_at=at,
        lease_until_at=at + timedelta(seconds=hold.lease_s),
        approved_by=approved_by,
        approval_id=approval_id,
    )
    case.put(ordered)
    return [fact_of(ordered, HoldOrdered)]


def tell_sales(case: Case, hold: Hold, on: date, at: datetime) -> list[Fact]:
    """The account's seller learns of a hold when it bites, once; an order that the gate stops is nobody's news."""
    amount = f"{money.text(hold.overdue_minor, hold.currency)} {hold.currency}"
    task = Task(
        kind="note",
        addressee=case.account.sales_owner or "sales",
        text=f"Access is restricted for {amount} overdue; approved by {hold.approved_by}.",
    )
    return list(by_rule(case, f"hold/{hold.hold_id}", on, at, task))


def refuse(case: Case, hold: Hold, on: date, reason: str) -> list[Fact]:
    refused = _ended(hold, "refused", on, reason or "refused")
    case.put(refused)
    return [fact_of(refused, HoldRefused)]


def end_if_due(case: Case, rules: Rules) -> list[Fact]:
    """Lift every ordered hold and withdraw every proposal that has lost its reason."""
    active = case.active_holds()
    reason = reason_to_end(case, rules) if active else None
    if reason is None:
        return []
    facts: list[Fact] = []
    for hold in active:
        status, model = ("lifted", HoldLifted) if hold.status == "ordered" else ("withdrawn", HoldWithdrawn)
        ended = _ended(hold, status, rules.on, reason)
        case.put(ended)
        facts.append(fact_of(ended, model))
    return facts


def renew(case: Case, rules: Rules, at: datetime) -> list[Fact]:
    """Ordered holds whose lease ends within `renew_before_s` of `at`, with a new version and a full lease."""
    facts: list[Fact] = []
    for hold in case.active_holds():
        if rules.holds is None or hold.status != "ordered" or hold.lease_until_at is None:
            continue
        if hold.lease_until_at - at > timedelta(seconds=rules.holds.renew_before_s):
            continue
        renewed = replace(
            hold, version=hold.version + 1, from_at=at, lease_until_at=at + timedelta(seconds=hold.lease_s)
        )
        case.put(renewed)
        facts.append(fact_of(renewed, HoldRenewed))
    return facts


def order_again(case: Case, rules: Rules, at: datetime) -> list[Fact]:
    """Orders that the gate withheld go out again at the next close, for what is owed now and never for more."""
    facts: list[Fact] = []
    for hold in case.active_holds():
        if hold.status != "ordered" or not hold.failure.startswith("WITHHELD") or hold.in_force_at is not None:
            continue
        owed = sum(claim.net_minor for claim in warned(case, rules.on) if claim.item.currency == hold.currency)
        again = replace(
            hold,
            version=hold.version + 1,
            from_at=at,
            lease_until_at=at + timedelta(seconds=hold.lease_s),
            overdue_minor=min(hold.overdue_minor, owed),
            failure="",
        )
        case.put(again)
        facts.append(fact_of(again, HoldOrdered))
    return facts


def confirmed(hold: Hold, target: str, version: int, at: datetime) -> Hold:
    """The hold after an access system answered; in force from the answer of its last target for its version."""
    answers = {**hold.confirmed, target: max(version, hold.confirmed.get(target, 0))}
    complete = hold.status == "ordered" and all(answers.get(t, 0) >= hold.version for t in hold.targets)
    since = hold.in_force_at or (at if complete else None)
    return replace(hold, confirmed=answers, in_force_at=since if hold.status == "ordered" else None, failure="")


def fact_of(hold: Hold, model: type[HoldState]) -> HoldState:
    return model(
        company=hold.company,
        hold_id=hold.hold_id,
        version=hold.version,
        account_id=hold.account_id,
        kind=hold.kind,
        grade=hold.grade,
        targets=hold.targets,
        cause=hold.ended_because or hold.cause,
        policy=hold.policy,
        approval_id=hold.approval_id,
        approved_by=hold.approved_by,
        from_at=hold.from_at,
        lease_s=hold.lease_s,
        overdue_minor=hold.overdue_minor,
        currency=hold.currency,
    )


def approval_of(case: Case, hold: Hold) -> Approval:
    """The pending request for approval that goes with a proposal."""
    return Approval(
        company=hold.company,
        id=approval_id_of(hold),
        kind="hold",
        subject_id=str(hold.hold_id),
        body_hash=hold.body_sha256,
        customer_id=case.account_id,
        reason_code=hold.grade,
        requested_by=hold.proposed_by,
        requested_at=hold.from_at,
    )


def approval_id_of(hold: Hold) -> UUID:
    return derive("approval", "hold", hold.hold_id)


def _may_be_proposed(case: Case, rules: Rules, policy: HoldPolicy) -> bool:
    account = case.account
    refused = [
        hold.ended_on
        for hold in case.holds.values()
        if hold.status == "refused"
        and hold.ended_on is not None
        and hold.ended_on + timedelta(days=policy.proposed_again_after_days) > rules.on
    ]
    candidate = any(
        not found.cleared and add_business_days(found.since_on, policy.candidate_days, rules.calendar) > rules.on
        for found in case.candidates.values()
    )
    return (
        account.known
        and account.status == "active"
        and bool(account.access_targets)
        and not refused
        and not candidate
        and not case.active_holds()
        and not case.live_promises()
    )


def _cured(claim: Claim, rules: Rules, policy: HoldPolicy) -> bool:
    """The cure days after the warning are fully over and the warning is not too old."""
    since = claim.item.warned_on
    if since is None or since + timedelta(days=policy.warning_valid_days) < rules.on:
        return False
    return add_business_days(since, policy.cure_days, rules.calendar) < rules.on


def _proposal(case: Case, rules: Rules, policy: HoldPolicy, reached: tuple[str, int], at: datetime) -> Hold:
    currency, amount = reached
    hold = Hold(
        company=case.company,
        account_id=case.account_id,
        hold_id=derive("hold", case.company, case.account_id, rules.on),
        version=1,
        status="proposed",
        kind=policy.kind,
        grade=policy.grade,
        targets=case.account.access_targets[:TARGETS_MAX],
        cause="overdue_after_warning",
        policy=rules.holds_label,
        from_at=at,
        lease_s=policy.lease_s,
        proposed_on=rules.on,
        overdue_minor=amount,
        currency=currency,
        body_sha256="",
        proposed_by=BY_RULE,
    )
    return replace(hold, body_sha256=sha256(fact_of(hold, HoldProposed).model_dump_json().encode()).hexdigest())


def _ended(hold: Hold, status: str, on: date, reason: str) -> Hold:
    return replace(
        hold,
        status=status,
        version=hold.version + 1,
        ended_on=on,
        ended_because=reason,
        in_force_at=None,
        lease_until_at=None,
    )
