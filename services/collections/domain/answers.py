"""What became of notices and holds, as ar.notifications tells it.

Invariant: a level counts as reached only by the notice that left; later answers of another kind do not undo it.
"""

from dataclasses import replace
from datetime import date, datetime

from services.collections.domain import holds
from services.collections.domain.case import Case
from services.collections.domain.rows import Notice
from shared.events.facts import Fact
from shared.events.notifications import (
    EffectConfirmed,
    EffectFailed,
    NoticeFailed,
    NoticeSending,
    NoticeSent,
    NoticeState,
    NoticeUnknown,
    NoticeWithheld,
)

STATUS_OF: dict[type[NoticeState], str] = {
    NoticeSending: "sending",
    NoticeSent: "sent",
    NoticeWithheld: "withheld",
    NoticeFailed: "failed",
    NoticeUnknown: "unknown",
}
REASONS_MAX = 50


def take_answer(case: Case, fact: NoticeState, on: date) -> Notice | None:
    """Store the answer; a notice that left raises the level of the items it named. None if it is not known here."""
    notice = case.notices.get(fact.notice_id)
    if isinstance(fact, NoticeSent):
        _raise_levels(case, fact, on)
    if notice is None or notice.status == "sent":
        return notice
    status = STATUS_OF[type(fact)]
    answered = replace(
        notice,
        status=status,
        answered_on=None if status == "sending" else on,
        left_on=on if status == "sent" else None,
        reasons=_reasons(fact),
    )
    case.put(answered)
    return answered


def _raise_levels(case: Case, fact: NoticeSent, on: date) -> None:
    for named in fact.items:
        item = case.items.get(named.item_id)
        if item is None:
            continue
        warned_on = item.warned_on or (on if fact.kind == "hold_warning" else None)
        if fact.level > item.level:
            item = replace(item, level=fact.level, level_on=on)
        case.put(replace(item, warned_on=warned_on))


def _reasons(fact: NoticeState) -> list[dict[str, str]]:
    if isinstance(fact, NoticeWithheld):
        return [{"code": reason.code, "evidence": reason.evidence} for reason in fact.reasons[:REASONS_MAX]]
    if isinstance(fact, NoticeFailed | NoticeUnknown):
        return [{"code": fact.code, "evidence": ""}]
    return []


def take_effect(case: Case, fact: EffectConfirmed | EffectFailed, on: date, at: datetime) -> list[Fact]:
    """An access system confirmed a hold's version, or the order could not be delivered; sales learns what bites."""
    hold = case.holds.get(fact.subject_id)
    if hold is None or fact.of != "hold":
        return []
    if isinstance(fact, EffectFailed):
        case.put(replace(hold, failure=f"{fact.code or 'failed'} at {fact.target}"))
        return []
    answered = holds.confirmed(hold, fact.target, fact.version, fact.answered_at or at)
    case.put(answered)
    begins = hold.in_force_at is None and answered.in_force_at is not None
    return holds.tell_sales(case, answered, on, at) if begins else []
