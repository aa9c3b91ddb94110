"""Things done and to do: logging, correcting, and next steps that come back on their date.

Invariant: an activity is never edited; a correction supersedes it. A step is done by the activity that follows it, or
that reaches the same person in the same way once the step is due.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from services.collections.domain.case import Case
from services.collections.domain.commands import LogActivity
from services.collections.domain.refusal import Refusal
from services.collections.domain.rows import Activity
from shared.events.collections import ActivityLogged
from shared.ids import derive

BY_RULE = "service:collections"
ITEMS_MAX, ENDS_MAX = 500, 50
NOT_REACHED = frozenset({"no_answer", "left_message", "busy", "wrong_number", "bounced"})


def log(case: Case, asked: LogActivity, command_id: UUID, actor: str, on: date, at: datetime) -> ActivityLogged:
    """What a person did. Raises Refusal when it supersedes or follows something that the account does not have."""
    done_on = asked.done_on or on
    if done_on > on:
        raise Refusal("done_in_the_future", f"done_on {done_on} is after the business date {on}", 422)
    _close(case, asked.supersedes, "superseded")
    _close(case, asked.follows, "followed")
    ended = _end_overtaken(case, asked, done_on)
    activity = Activity(
        company=case.company,
        account_id=case.account_id,
        activity_id=derive("activity", case.company, case.account_id, command_id),
        kind=asked.kind,
        direction=asked.direction,
        contact_id=asked.contact_id,
        addressee=asked.addressee,
        outcome_code=asked.outcome_code,
        items=[str(item) for item in asked.items],
        next_step=asked.next_step,
        next_on=asked.next_on,
        minutes=asked.minutes,
        text=asked.text,
        done_on=done_on,
        by=actor,
        logged_at=at,
        supersedes=asked.supersedes,
        follows=asked.follows,
    )
    case.put(activity)
    return fact_of(activity).model_copy(update={"ends": list(ended)})


def _close(case: Case, activity_id: UUID | None, mark: str) -> None:
    if activity_id is None:
        return
    found = case.activities.get(activity_id)
    if found is None or found.superseded:
        message = f"account {case.account_id} has no standing activity {activity_id}"
        raise Refusal("activity_unknown", message, 404, "use an activity_id of the account's newest activities")
    case.put(replace(found, **{mark: True}))


def _end_overtaken(case: Case, asked: LogActivity, done_on: date) -> tuple[UUID, ...]:
    """Speaking with a person again in the same way ends what was due to be done so with that person; a step of a later
    day stands, and an attempt that reached nobody ends nothing unless it brings a step of its own."""
    if not asked.contact_id or (asked.outcome_code in NOT_REACHED and not asked.next_step):
        return ()
    ended = []
    for step in case.open_steps():
        same = (step.kind, step.contact_id) == (asked.kind, asked.contact_id)
        if same and step.by != BY_RULE and step.next_on is not None and step.next_on <= done_on:
            case.put(replace(step, followed=True))
            ended.append(step.activity_id)
    return tuple(sorted(ended)[:ENDS_MAX])


@dataclass(frozen=True, slots=True)
class Task:
    """What a rule gives to somebody: a ticket, a note, a mail to answer."""

    kind: str
    addressee: str
    text: str
    next_step: str = ""
    next_on: date | None = None
    items: Sequence[str] = ()
    direction: str = "internal"


def by_rule(case: Case, cause: str, on: date, at: datetime, task: Task) -> list[ActivityLogged]:
    """The activity of a task that a rule gives, once per `cause`. Empty if it stands already."""
    activity_id = derive("activity", case.company, case.account_id, cause)
    if activity_id in case.activities:
        return []
    activity = Activity(
        company=case.company,
        account_id=case.account_id,
        activity_id=activity_id,
        kind=task.kind,
        direction=task.direction,
        contact_id="",
        addressee=task.addressee,
        outcome_code="",
        items=list(task.items[:ITEMS_MAX]),
        next_step=task.next_step,
        next_on=task.next_on,
        minutes=0,
        text=task.text,
        done_on=on,
        by=BY_RULE,
        logged_at=at,
    )
    case.put(activity)
    return [fact_of(activity)]


def done_by_rule(case: Case, cause: str) -> None:
    """The step of an activity that a rule logged for `cause` is over; nothing if there is none."""
    found = case.activities.get(derive("activity", case.company, case.account_id, cause))
    if found is not None and not found.followed:
        case.put(replace(found, followed=True))


def end_settled(case: Case) -> None:
    """Steps of rules about items end when none of their items is open any more."""
    still_open = {str(item.item_id) for item in case.items.values() if item.remaining_minor > 0}
    for step in case.open_steps():
        if step.by == BY_RULE and step.items and not still_open & set(step.items):
            case.put(replace(step, followed=True))


def fact_of(activity: Activity) -> ActivityLogged:
    return ActivityLogged(
        company=activity.company,
        activity_id=activity.activity_id,
        account_id=activity.account_id,
        kind=activity.kind,
        direction=activity.direction,
        contact_id=activity.contact_id,
        addressee=activity.addressee,
        outcome_code=activity.outcome_code,
        items=[UUID(item) for item in activity.items],
        next_step=activity.next_step,
        next_on=activity.next_on,
        minutes=activity.minutes,
        text=activity.text,
        done_on=activity.done_on,
        by=activity.by,
        supersedes=activity.supersedes,
        follows=activity.follows,
    )
