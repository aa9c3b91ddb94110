"""Handing a case to a manager: by rule after the last level, or by a person at any time.

Invariant: an item is escalated by rule once; an escalation closes when nothing of it is overdue any more.
"""

from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from services.collections.domain.activities import Task, by_rule
from services.collections.domain.case import Case
from services.collections.domain.commands import RaiseEscalation
from services.collections.domain.dunning import last_level_left_on
from services.collections.domain.exposure import Claim, overdue, sums
from services.collections.domain.refusal import Refusal
from services.collections.domain.rows import Escalation
from services.collections.domain.rules import Rules
from shared import money
from shared.calendars import next_business_day
from shared.events.collections import EscalationRaised
from shared.events.facts import Fact
from shared.ids import derive

ITEMS_MAX = 500


def by_ladder(case: Case, rules: Rules, at: datetime) -> list[Fact]:
    """Escalate what the last level did not bring in; close escalations that have lost their items."""
    _close_settled(case, rules.on)
    if rules.dunning is None or not case.account.known:
        return []
    told = {item for escalation in case.escalations.values() for item in escalation.items}
    found = last_level_left_on(case, rules.dunning, rules.on)
    if not any(str(claim.item.item_id) not in told for claim in found):
        return []
    reason = (
        f"level {rules.dunning.last_level} left {rules.dunning.escalation.after_days} days ago and did not bring it in"
    )
    addressee = rules.dunning.escalation.to
    cause = ",".join(sorted(str(claim.item.item_id) for claim in found if str(claim.item.item_id) not in told))
    return _raise(case, rules, found, addressee, reason, cause, at)


def by_person(case: Case, asked: RaiseEscalation, rules: Rules, command_id: UUID, at: datetime) -> list[Fact]:
    """Raises Refusal when nothing is overdue."""
    found = overdue(case, rules.on)
    if not found:
        raise Refusal("nothing_overdue", f"account {case.account_id} has nothing overdue to escalate")
    return _raise(case, rules, found, asked.to, asked.reason, str(command_id), at)


def _raise(
    case: Case, rules: Rules, found: list[Claim], addressee: str, reason: str, cause: str, at: datetime
) -> list[Fact]:
    totals = sums(found, lambda claim: claim.undisputed_minor)
    currency = max(totals, key=lambda code: (rules.in_base(totals[code], code) or 0, code))
    escalation = Escalation(
        company=case.company,
        account_id=case.account_id,
        escalation_id=derive("escalation", case.company, case.account_id, cause),
        level=max(claim.item.level for claim in found),
        addressee=addressee,
        reason=reason,
        items=[str(claim.item.item_id) for claim in found][:ITEMS_MAX],
        overdue_minor=totals[currency],
        currency=currency,
        raised_on=rules.on,
    )
    case.put(escalation)
    fact = EscalationRaised(
        company=case.company,
        escalation_id=escalation.escalation_id,
        account_id=case.account_id,
        level=escalation.level,
        to=addressee,
        reason=reason,
        overdue_minor=escalation.overdue_minor,
        currency=currency,
        raised_on=rules.on,
    )
    task = by_rule(
        case,
        f"escalation/{escalation.escalation_id}",
        rules.on,
        at,
        Task(
            kind="ticket",
            addressee=addressee,
            text=f"{money.text(totals[currency], currency)} {currency} overdue: {reason}.",
            next_step="Decide how to go on",
            next_on=next_business_day(rules.on, rules.calendar),
            items=escalation.items,
        ),
    )
    return [fact, *task]


def _close_settled(case: Case, on: date) -> None:
    owed = {str(claim.item.item_id) for claim in overdue(case, on)}
    for escalation in list(case.escalations.values()):
        if escalation.open and not owed & set(escalation.items):
            case.put(replace(escalation, open=False))
