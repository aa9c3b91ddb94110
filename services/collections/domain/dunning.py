"""Whether a notice is asked for on a business date, at which level, for which items, to whom and for when.

Invariants: no item that is disputed, promised, covered by the account's own money or not overdue; one notice per
account at a time; a level is taken one step at a time and counts only when its notice has left.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.collections.domain.case import Case
from services.collections.domain.contacts import choose
from services.collections.domain.exposure import Claim, overdue, sums
from services.collections.domain.local_time import instant, zone_or
from services.collections.domain.policy import DunningPolicy
from services.collections.domain.rows import Contact, Notice
from services.collections.domain.rules import Rules
from shared.calendars import add_business_days, business_days_between, next_business_day
from shared.events.collections import NoticeItem, NoticeRequested, Total
from shared.ids import derive

ITEMS_MAX = 500
Quiet = Literal[
    "no_policy", "account_unknown", "account_status", "by_a_person", "nothing_due", "pending", "spacing",
    "withheld_lately", "on_hold", "no_contact",
]  # fmt: skip
"""Why nothing is asked for."""


@dataclass(frozen=True, slots=True)
class Step:
    """The level that is due and the claims that the notice names."""

    level: int
    claims: list[Claim]


def decide(case: Case, rules: Rules) -> NoticeRequested | Quiet:
    """The notice to ask for at the close of `rules.on`, or why none. Changes nothing."""
    policy = rules.dunning
    if policy is None:
        return "no_policy"
    step = due_step(case, rules)
    if step is None:
        return "nothing_due"
    quiet = _not_by_rule(case, policy) or _not_now(case, rules, policy)
    if quiet:
        return quiet
    contact = choose(case, policy.step(step.level).channel, policy.contact_roles)
    return _request(case, rules, policy, step, contact) if contact else "no_contact"


def due_step(case: Case, rules: Rules) -> Step | None:
    """The step of the ladder that is due by days and items alone, whatever else may stand against it."""
    policy = rules.dunning
    if policy is None:
        return None
    eligible = _above_minimum(list(_eligible(case, rules, policy)), policy)
    rises = [rise for claim in eligible if (rise := _rise(claim, policy))]
    if not rises:
        return None
    level = max(rises)
    return Step(level, [claim for claim in eligible if claim.item.level <= level][:ITEMS_MAX])


def _rise(claim: Claim, policy: DunningPolicy) -> int:
    """The next level of an item, one step above the level that has left; 0 if its days do not reach it."""
    reached = policy.level_at(claim.days_past_due)
    return claim.item.level + 1 if reached > claim.item.level else 0


def _eligible(case: Case, rules: Rules, policy: DunningPolicy) -> Iterable[Claim]:
    waiting = _waiting_items(case)
    for claim in overdue(case, rules.on):
        item = claim.item
        ignored = policy.credit_ignored_below_minor.get(item.currency, 0)
        if (
            not claim.promised
            and (claim.covered_minor == 0 or claim.covered_minor < ignored)
            and item.kind in policy.item_kinds
            and item.changed_on <= rules.on
            and str(item.item_id) not in waiting
            and policy.level_at(claim.days_past_due) >= 1
        ):
            yield claim


def _waiting_items(case: Case) -> set[str]:
    """Items of notices whose fate is unknown: nothing is sent again by itself until a person releases them."""
    return {
        item
        for notice in case.notices.values()
        if notice.status == "unknown" and not notice.released
        for item in notice.items
    }


def _above_minimum(found: list[Claim], policy: DunningPolicy) -> list[Claim]:
    totals = sums(found, lambda claim: claim.undisputed_minor)
    return [claim for claim in found if totals[claim.item.currency] >= policy.minimum_minor.get(claim.item.currency, 0)]


def _not_by_rule(case: Case, policy: DunningPolicy) -> Quiet | None:
    account = case.account
    if not account.known:
        return "account_unknown"
    if account.status not in policy.account_statuses:
        return "account_status"
    if account.debtor_kind not in policy.debtor_kinds or account.confidentiality != "normal":
        return "by_a_person"
    return None


def _not_now(case: Case, rules: Rules, policy: DunningPolicy) -> Quiet | None:
    if any(hold.status == "ordered" for hold in case.holds.values()):
        return "on_hold"
    if case.pending_notices(rules.on):
        return "pending"
    left_on = [notice.left_on for notice in case.notices.values() if notice.left_on]
    if left_on and max(left_on) + timedelta(days=policy.spacing_days) > rules.on:
        return "spacing"
    stopped_on = [n.answered_on for n in case.notices.values() if n.status in ("withheld", "failed") and n.answered_on]
    if stopped_on:
        waited = business_days_between(max(stopped_on), rules.on, rules.calendar)
        if waited < policy.again_after_withheld_days:
            return "withheld_lately"
    return None


def _request(case: Case, rules: Rules, policy: DunningPolicy, step: Step, contact: Contact) -> NoticeRequested:
    rung = policy.step(step.level)
    send_on = next_business_day(rules.on, rules.calendar)
    last_on = add_business_days(send_on, policy.expires_after_days, rules.calendar)
    zone = rules.zone
    if policy.window.zone == "debtor":
        zone = zone_or(contact.time_zone, zone_or(case.account.time_zone, rules.zone))
    return NoticeRequested(
        company=case.company,
        notice_id=derive("notice", case.company, case.account_id, rules.on),
        account_id=case.account_id,
        contact_id=contact.contact_id,
        level=step.level,
        kind=rung.kind,
        template=rung.template,
        channel=rung.channel,
        language=contact.language or case.account.language or "en",
        policy=rules.dunning_label,
        decided_on=rules.on,
        items=[_named(claim) for claim in step.claims],
        totals=[
            Total(currency=currency, amount_minor=amount)
            for currency, amount in sums(step.claims, lambda claim: claim.undisputed_minor).items()
        ],
        not_before_at=instant(send_on, policy.window.start, zone),
        expires_at=instant(last_on, policy.window.end, zone),
    )


def _named(claim: Claim) -> NoticeItem:
    item = claim.item
    return NoticeItem(
        item_id=item.item_id,
        version=item.version,
        number=item.number,
        remaining_minor=item.remaining_minor,
        currency=item.currency,
        due_on=item.due_on,
        days_past_due=claim.days_past_due,
        disputed_minor=item.remaining_minor - claim.undisputed_minor,
    )


def row_of(request: NoticeRequested) -> Notice:
    """The row that remembers a request until it is answered."""
    return Notice(
        company=request.company,
        account_id=request.account_id,
        notice_id=request.notice_id,
        contact_id=request.contact_id,
        level=request.level,
        kind=request.kind,
        policy=request.policy,
        decided_on=request.decided_on,
        expires_at=request.expires_at,
        items=[str(item.item_id) for item in request.items],
        totals=[total.model_dump() for total in request.totals],
    )


def last_level_left_on(case: Case, policy: DunningPolicy, on: date) -> list[Claim]:
    """Claims still owed whose last level has left at least `escalation.after_days` ago."""
    waited = timedelta(days=policy.escalation.after_days)
    return [
        claim
        for claim in overdue(case, on)
        if claim.item.level >= policy.last_level
        and claim.item.level_on is not None
        and claim.item.level_on + waited <= on
        and not claim.promised
        and claim.net_minor > 0
    ]
