"""The row of an account in the worklist of the next business day: what matters most, why, and the next step.

Ranked by (priority, score down): promises broken today come first, all else by score = undisputed overdue in base
currency × chance that it does not come in by itself. The first matter of MATTERS that holds gives only the sentence
and the next step. Nobody is accused while money lies about: what waits to be applied is told before what was missed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from services.collections.domain.case import Case
from services.collections.domain.chance import not_by_itself_permille
from services.collections.domain.contacts import choose
from services.collections.domain.dunning import due_step
from services.collections.domain.exposure import Claim, overdue, sums
from services.collections.domain.promise_cash import told, uncounted
from services.collections.domain.rows import Promise, WorklistRow
from services.collections.domain.rules import Rules
from shared import money
from shared.calendars import next_business_day
from shared.ids import show

BROKEN_FOR_DAYS = 30
STEP_DAYS = 10
"""A step that is longer due sinks below all that moves; it was overtaken or nobody wants it."""
PENDING_DAYS_MAX = 5
BROKEN_TODAY, RANKED_BY_SCORE, NOT_LISTED = 1, 2, 3
_CODE = re.compile(r"[a-z]+(_[a-z]+)*")


@dataclass(frozen=True, slots=True)
class View:
    """What the sentences are made from."""

    case: Case
    rules: Rules
    claims: list[Claim]
    work_on: date

    def owed(self) -> str:
        """`1200.00 EUR overdue for 45 days`, every currency named."""
        totals = sums(self.claims, lambda claim: claim.net_minor)
        amounts = " and ".join(f"{money.text(amount, code)} {code}" for code, amount in totals.items() if amount > 0)
        return f"{amounts} overdue for up to {self.oldest()} days" if amounts else "nothing to be asked for is overdue"

    def oldest(self) -> int:
        return max((claim.days_past_due for claim in self.claims), default=0)


@dataclass(frozen=True, slots=True)
class Told:
    cause: str
    why: str
    next_step: str


def build(case: Case, rules: Rules) -> WorklistRow | None:
    """The account's row, or None if nobody needs to look at it. Raises nothing."""
    work_on = next_business_day(rules.on, rules.calendar)
    view = View(case, rules, overdue(case, rules.on), work_on)
    for matter in MATTERS:
        if found := matter(view):
            return _row(view, BROKEN_TODAY if matter is _broken_today else RANKED_BY_SCORE, found)
    return None


def unlisted(row: WorklistRow, rules: Rules) -> WorklistRow:
    """The account's row when nobody needs to look at it any more."""
    return WorklistRow(
        company=row.company,
        account_id=row.account_id,
        built_on=rules.on,
        work_on=next_business_day(rules.on, rules.calendar),
        collector=row.collector,
        priority=NOT_LISTED,
        score_minor=0,
        overdue_minor=0,
        currency=rules.base_currency,
        chance_permille=0,
        oldest_days_past_due=0,
        cause="",
        why="",
        next_step="",
        listed=False,
    )


def _row(view: View, priority: int, matter: Told) -> WorklistRow:
    base = [(view.rules.in_base(claim.net_minor, claim.item.currency) or 0, claim) for claim in view.claims]
    lateness = view.case.account.lateness
    score = sum(amount * not_by_itself_permille(lateness, claim.days_past_due) for amount, claim in base) // 1000
    total = sum(amount for amount, _ in base)
    return WorklistRow(
        company=view.case.company,
        account_id=view.case.account_id,
        built_on=view.rules.on,
        work_on=view.work_on,
        collector=view.case.account.collector,
        priority=priority,
        score_minor=score,
        overdue_minor=total,
        currency=view.rules.base_currency,
        chance_permille=1000 * score // total if total else 0,
        oldest_days_past_due=view.oldest(),
        cause=matter.cause,
        why=matter.why,
        next_step=matter.next_step,
    )


def _broken_today(view: View) -> Told | None:
    return _broken(view, lambda promise: promise.status_on == view.rules.on, waits=False)


def _promise_cash_waits(view: View) -> Told | None:
    """A promise that would be called broken, though money came that nobody has looked at."""
    return _broken(view, lambda promise: _lately(view, promise), waits=True)


def _broken_lately(view: View) -> Told | None:
    return _broken(view, lambda promise: _lately(view, promise), waits=False)


def _lately(view: View, promise: Promise) -> bool:
    return (view.rules.on - (promise.status_on or view.rules.on)).days <= BROKEN_FOR_DAYS


def _broken(view: View, belongs: Callable[[Promise], bool], *, waits: bool) -> Told | None:
    """The largest of the latest promises that were not kept, with (`waits`) or without cash that lies unapplied."""
    if not view.claims or view.case.live_promises():
        return None
    missed = [p for p in view.case.promises.values() if p.status in ("broken", "partly_kept") and belongs(p)]
    found = [(p, of) for p in missed if (of := uncounted(view.case, p)).waits == waits]
    if not found:
        return None
    promise, of = max(found, key=lambda one: (one[0].due_on, one[0].amount_minor, str(one[0].promise_id)))
    amount = f"{money.text(promise.amount_minor, promise.currency)} {promise.currency}"
    if waits:
        why = f"Promised {amount} by {promise.due_on}; {told(promise, of)}; {view.owed()}."
        return Told("promise_cash_waits", why, "Look at the payment before calling")
    why = f"Promised {amount} by {promise.due_on}, {told(promise, of)}; {view.owed()}."
    return Told("promise_broken", why, "Call and ask for the payment or a firm new date")


def _step_due(view: View) -> Told | None:
    return _step(view, lambda next_on: (view.work_on - next_on).days <= STEP_DAYS)


def _step_old(view: View) -> Told | None:
    return _step(view, lambda next_on: True)


def _step(view: View, belongs: Callable[[date], bool]) -> Told | None:
    steps = view.case.open_steps()
    due = [step for step in steps if step.next_on and step.next_on <= view.work_on and belongs(step.next_on)]
    if not due:
        return None
    step = due[-1]
    whom = f" for {step.addressee}" if step.addressee else ""
    words = in_words(step.next_step)
    why = f"To do{whom} on {step.next_on}, noted on {step.done_on}: {words[:1].lower()}{words[1:]}."
    return Told("step_due", why, words)


def in_words(step: str) -> str:
    """A step as people read it: `call_again` is a code and becomes `Call again`, a sentence stays as it was written."""
    if _CODE.fullmatch(step):
        return step.replace("_", " ").capitalize()
    return step.rstrip(".")


def _hold_proposed(view: View) -> Told | None:
    for hold in view.case.active_holds():
        if hold.status == "proposed":
            amount = f"{money.text(hold.overdue_minor, hold.currency)} {hold.currency}"
            why = f"A hold over {amount} waits for approval since {hold.proposed_on}."
            return Told("hold_proposed", why, f"Have {show('hold', hold.hold_id)} approved or refused")
    return None


def _cash_first(view: View) -> Told | None:
    for currency in sums(view.claims, lambda claim: claim.covered_minor):
        waiting = view.case.credit_minor(currency)
        if waiting > 0:
            why = (
                f"{money.text(waiting, currency)} {currency} of the customer's money is not applied to its open items."
            )
            return Told("apply_cash_first", why, "Apply cash first")
    return None


def _candidate(view: View) -> Told | None:
    found = [c for c in view.case.candidates.values() if not c.cleared]
    if not found or not view.claims:
        return None
    best = max(found, key=lambda c: (c.amount_minor, str(c.candidate_id)))
    why = (
        f"{money.text(best.amount_minor, best.currency)} {best.currency} may be this customer's money ({best.source})."
    )
    return Told("candidate_cash", why, "Ask the analyst to clear the payment first")


def _unknown_notice(view: View) -> Told | None:
    found = [n for n in view.case.notices.values() if n.status == "unknown" and not n.released]
    if not found:
        return None
    notice = max(found, key=lambda n: (n.decided_on, str(n.notice_id)))
    why = f"Whether notice {show('notice', notice.notice_id)} of level {notice.level} arrived is not known."
    return Told("notice_unknown", why, "Ask the customer, then release the notice")


def _no_contact(view: View) -> Told | None:
    policy = view.rules.dunning
    step = due_step(view.case, view.rules)
    if policy is None or step is None:
        return None
    if choose(view.case, policy.step(step.level).channel, policy.contact_roles):
        return None
    return Told("no_contact", f"No usable contact for a notice of level {step.level}; {view.owed()}.", "Find a contact")


def _escalated(view: View) -> Told | None:
    found = [e for e in view.case.escalations.values() if e.open]
    if not found or not view.claims:
        return None
    latest = max(found, key=lambda e: (e.raised_on, str(e.escalation_id)))
    why = f"Escalated to {latest.addressee} on {latest.raised_on}; {view.owed()}."
    return Told("escalated", why, f"Get a decision from {latest.addressee}")


def _dispute_late(view: View) -> Told | None:
    found = [d for d in view.case.disputes.values() if d.status == "open" and d.due_on <= view.work_on]
    if not found:
        return None
    dispute = min(found, key=lambda d: (d.due_on, str(d.dispute_id)))
    amount = f"{money.text(dispute.disputed_minor, dispute.currency)} {dispute.currency}"
    why = f"The dispute over {amount} ({dispute.reason_code}) was to be decided by {dispute.due_on}."
    return Told("dispute_late", why, f"Ask {dispute.owner} for the decision")


def _by_a_person(view: View) -> Told | None:
    policy = view.rules.dunning
    account = view.case.account
    step = due_step(view.case, view.rules)
    if policy is None or step is None:
        return None
    if account.debtor_kind in policy.debtor_kinds and account.confidentiality == "normal":
        return None
    return Told("by_a_person", f"No automatic notices for this account; {view.owed()}.", "Write or call in person")


def _not_answered(view: View) -> Told | None:
    late = [
        notice
        for notice in view.case.pending_notices(view.rules.on)
        if notice.answered_on is None and (view.rules.on - notice.decided_on).days > PENDING_DAYS_MAX
    ]
    if not late:
        return None
    return Told("notice_waiting", f"A notice of {late[0].decided_on} has no answer yet; {view.owed()}.", "Call instead")


def _owed(view: View) -> Told | None:
    found = [claim for claim in view.claims if claim.net_minor > 0 and not claim.promised]
    if not found:
        return None
    level = max(claim.item.level for claim in found)
    if level == 0:
        return Told("overdue", f"{view.owed()}, no notice has left yet.", "Wait for the first notice")
    last = view.rules.dunning is not None and level >= view.rules.dunning.last_level
    step = "Call; the last notice has left" if last else f"Call to follow up the notice of level {level}"
    return Told("overdue", f"{view.owed()} after a notice of level {level}.", step)


MATTERS: tuple[Callable[[View], Told | None], ...] = (
    _broken_today,
    _promise_cash_waits,
    _cash_first,
    _candidate,
    _step_due,
    _broken_lately,
    _hold_proposed,
    _unknown_notice,
    _no_contact,
    _by_a_person,
    _dispute_late,
    _escalated,
    _not_answered,
    _owed,
    _step_old,
)
