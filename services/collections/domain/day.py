"""The work of a closed day for one case, in its fixed order: promises, holds, notice, escalation, worklist.

Invariant: it reads only the case and the rules of the day; running it twice on the same day asks for nothing twice.
"""

from datetime import date, datetime

from services.collections.domain import dunning, escalation, holds, promises, worklist
from services.collections.domain.activities import Task, by_rule, done_by_rule, end_settled
from services.collections.domain.case import Case
from services.collections.domain.rules import Rules
from shared.calendars import next_business_day
from shared.events.collections import NoticeRequested
from shared.events.facts import Fact


def close(case: Case, rules: Rules, at: datetime, complete_through_on: date | None) -> list[Fact]:
    """Everything the close of `rules.on` makes of the case; rows are put into it, facts returned in order."""
    facts: list[Fact] = list(promises.judge(case, rules.on, complete_through_on))
    facts += holds.end_if_due(case, rules)
    facts += holds.renew(case, rules, at)
    facts += holds.order_again(case, rules, at)
    if proposed := holds.propose(case, rules, at):
        facts += proposed[1]
    facts += _notice(case, rules, at)
    facts += escalation.by_ladder(case, rules, at)
    end_settled(case)
    _list(case, rules)
    return facts


def _notice(case: Case, rules: Rules, at: datetime) -> list[Fact]:
    decided = dunning.decide(case, rules)
    if isinstance(decided, NoticeRequested):
        if decided.notice_id in case.notices:
            return []
        case.put(dunning.row_of(decided))
        for step in rules.dunning.levels if rules.dunning else ():
            done_by_rule(case, f"no_contact/{step.level}")
        return [decided]
    if decided == "no_contact":
        return list(_find_contact(case, rules, at))
    return []


def _find_contact(case: Case, rules: Rules, at: datetime) -> list[Fact]:
    step = dunning.due_step(case, rules)
    level = step.level if step else 0
    return list(
        by_rule(
            case,
            f"no_contact/{level}",
            rules.on,
            at,
            Task(
                kind="note",
                addressee=case.account.collector or "collector",
                text=f"A notice of level {level} is due, but no contact of the account can be written to.",
                next_step="Find a contact",
                next_on=next_business_day(rules.on, rules.calendar),
            ),
        )
    )


def _list(case: Case, rules: Rules) -> None:
    row = worklist.build(case, rules)
    if row is not None:
        case.put(row)
    elif case.worklist is not None and case.worklist.listed:
        case.put(worklist.unlisted(case.worklist, rules))
