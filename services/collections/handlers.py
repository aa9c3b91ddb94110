"""What collections makes of an event, a command or a closed day: the dispatch from inputs to pure rules and back.

Invariant: holds are looked at after every fact that can end their reason, in the transaction of that fact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from services.collections import store
from services.collections.domain import activities, answers, day, disputes, escalation, holds, ledger, masterdata
from services.collections.domain import commands as c
from services.collections.domain import promising as promise
from services.collections.domain.calendar import CalendarUnknown, next_business_day
from services.collections.domain.case import Case, changed_rows
from services.collections.domain.policy import MODELS, DunningPolicy, HoldPolicy, PolicyInvalid, read_policy
from services.collections.domain.refusal import Refusal
from services.collections.domain.rows import Hold
from services.collections.domain.rules import Rules
from shared.approval import ApprovalRequest, Approved, decide
from shared.errors import Rejected
from shared.events import accounts as a
from shared.events import ledger as le
from shared.events import notifications as n
from shared.events.codec import Event
from shared.events.collections import HoldState, NoticeRequested
from shared.events.control import PolicyActivated
from shared.events.facts import Fact
from shared.runtime.effects import DayWork, Effects, Moment, PoisonEvent

DAY_PARTS = 4
DEDUCTION_DAYS = 5


@dataclass(slots=True)
class Turn:
    """One event being decided: its case, the rules of its date, and the facts that follow so far."""

    event: Event
    case: Case
    rules: Rules
    facts: list[Fact] = field(default_factory=list)

    @property
    def on(self) -> date:
        return self.event.envelope.business_date

    @property
    def actor(self) -> str:
        return self.event.envelope.actor


class CollectionsHandler:
    """The handler that the runtime calls; it keeps nothing between calls."""

    day_parts = DAY_PARTS
    day_phase2 = False

    async def load(self, db: Any, events: Sequence[Event], moment: Moment) -> store.State:
        return await store.load(db, events)

    def decide(self, state: store.State, events: Sequence[Event], moment: Moment) -> Effects:
        effects = Effects()
        rules = RulesOf(moment)
        for event in events:
            try:
                _decide(state, event, moment, rules, effects)
            except Refusal as refusal:
                raise Rejected(refusal.code, refusal.message, refusal.status) from refusal
            except (PolicyInvalid, CalendarUnknown) as problem:
                raise PoisonEvent(event, str(problem)) from problem
        effects.rows = changed_rows(state.cases.values())
        return effects

    async def save(self, db: Any, effects: Effects) -> None:
        await store.save(db, effects.rows)

    async def totals(self, db: Any, closed: DayWork) -> dict[str, Any]:
        return await store.totals(db, closed.company)


class RulesOf:
    """Rules per company and date of one batch, made once each."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._made: dict[tuple[str, date], Rules] = {}

    def __call__(self, company: str, on: date) -> Rules:
        if (company, on) not in self._made:
            self._made[company, on] = self._make(company, on)
        return self._made[company, on]

    def _make(self, company: str, on: date) -> Rules:
        moment = self._moment
        configured = moment.companies[company]
        dunning, of_holds = moment.policy(company, "dunning", on), moment.policy(company, "holds", on)
        return Rules(
            company=company,
            on=on,
            calendar=configured.calendar,
            zone=configured.time_zone,
            base_currency=configured.base_currency,
            dunning=read_policy(DunningPolicy, dunning.content) if dunning else None,
            dunning_label=dunning.label if dunning else "",
            holds=read_policy(HoldPolicy, of_holds.content) if of_holds else None,
            holds_label=of_holds.label if of_holds else "",
            rate=lambda pair: moment.rate(company, pair, on),
        )


def _decide(state: store.State, event: Event, moment: Moment, rules: RulesOf, effects: Effects) -> None:
    data = event.data
    if isinstance(data, DayWork):
        _close_day(state, event, moment, rules, effects)
    elif isinstance(data, PolicyActivated):
        if data.name in MODELS:
            read_policy(MODELS[data.name], data.content)
    elif isinstance(data, le.PaymentState):
        _take_payment(state, event, rules, effects)
    elif type(data) in ON_ACCOUNT and data.account_id:
        turn = Turn(
            event, state.cases[event.company, data.account_id], rules(event.company, event.envelope.business_date)
        )
        effects.reply = ON_ACCOUNT[type(data)](turn, data)
        _emit(effects, turn)


def _emit(effects: Effects, turn: Turn) -> None:
    turn.facts += holds.end_if_due(turn.case, turn.rules)
    for fact in turn.facts:
        policy = ""
        if isinstance(fact, NoticeRequested):
            policy = turn.rules.dunning_label
        elif isinstance(fact, HoldState):
            policy = fact.policy
        effects.emit(turn.event, fact, _subject(fact), policy=policy)


_SUBJECTS = ("notice_id", "promise_id", "dispute_id", "hold_id", "escalation_id", "activity_id", "request_id")


def _subject(fact: Fact) -> UUID:
    return next(getattr(fact, name) for name in _SUBJECTS if hasattr(fact, name))


def _close_day(state: store.State, event: Event, moment: Moment, rules: RulesOf, effects: Effects) -> None:
    work: DayWork = event.data
    of_day = rules(work.company, work.date)
    reach = complete_through(moment, work, of_day)
    for key in state.day.get(event.envelope.id, []):
        turn = Turn(event, state.cases[key], of_day)
        turn.facts += day.close(turn.case, of_day, event.envelope.known_at, reach)
        _emit(effects, turn)


def complete_through(moment: Moment, work: DayWork, rules: Rules) -> date | None:
    """The last day through which the data of all bank accounts in which the company's money arrives are complete.

    None while one of them is unknown, or without any bank account unless the policy accepts that.
    """
    ends = [work.bank_accounts.get(account.id) for account in moment.companies[work.company].bank_accounts]
    for company, configured in moment.companies.items():
        reach = moment.reach.get(company)
        for account in configured.bank_accounts:
            if company != work.company and work.company in account.serves:
                ends.append(reach.bank_accounts.get(account.id) if reach else None)
    if not ends:
        accepted = rules.dunning is not None and rules.dunning.no_bank_data == "accepted"
        return work.date if accepted else None
    known = [end for end in ends if end is not None]
    return min(known) if len(known) == len(ends) else None


def _take_payment(state: store.State, event: Event, rules: RulesOf, effects: Effects) -> None:
    fact: le.PaymentState = event.data
    of_date = rules(event.company, event.envelope.business_date)
    for case in _cases_of_payment(state, event):
        turn = Turn(event, case, of_date)
        ledger.take_payment(case, fact, turn.on, event.envelope.known_at)
        if isinstance(fact, le.PaymentApplied) and fact.account_id == case.account_id:
            ledger.take_application(case, fact)
        if isinstance(fact, le.PaymentUnapplied):
            ledger.reverse_application(case, fact)
        _emit(effects, turn)


def _cases_of_payment(state: store.State, event: Event) -> list[Case]:
    """Cases on which the payment stands by this event, or stood before it."""
    fact: le.PaymentState = event.data
    keys = {(event.company, part.account_id) for part in fact.split}
    keys |= {key for key, case in state.cases.items() if key[0] == event.company and fact.payment_id in case.receipts}
    if account_id := getattr(fact, "account_id", None):
        keys.add((event.company, account_id))
    return [state.cases[key] for key in sorted(keys)]


def _item(turn: Turn, fact: le.ItemState) -> None:
    ledger.take_item(turn.case, fact, turn.on)


def _account(turn: Turn, fact: a.AccountState) -> None:
    masterdata.take_account(turn.case, fact)


def _contact(turn: Turn, fact: a.ContactUpdated) -> None:
    masterdata.take_contact(turn.case, fact)


def _message(turn: Turn, fact: a.MessageReceived) -> None:
    if fact.kind == "reply":
        turn.facts += activities.by_rule(
            turn.case,
            f"message/{fact.message_id}",
            turn.on,
            turn.event.envelope.known_at,
            kind="email",
            direction="in",
            addressee=turn.case.account.collector,
            text=fact.text[:4000],
            next_step="Answer the customer",
            next_on=next_business_day(turn.on, turn.rules.calendar),
        )


def _deduction(turn: Turn, fact: le.DeductionRaised) -> None:
    turn.facts += activities.by_rule(
        turn.case,
        f"deduction/{fact.item_id}",
        turn.on,
        turn.event.envelope.known_at,
        kind="ticket",
        addressee="billing",
        text=f"The customer deducted from its payment ({fact.reason_code or 'no reason given'}).",
        next_step="Accept the deduction or open a dispute",
        next_on=turn.on + timedelta(days=DEDUCTION_DAYS),
        items=[str(fact.item_id)],
    )


def _answer(turn: Turn, fact: n.NoticeState) -> None:
    answers.take_answer(turn.case, fact, turn.on)


def _effect(turn: Turn, fact: n.EffectConfirmed | n.EffectFailed) -> None:
    answers.take_effect(turn.case, fact, turn.event.envelope.known_at)


def _known_account(turn: Turn) -> None:
    if not turn.case.account.known and not turn.case.items:
        raise Refusal("account_unknown", f"account {turn.case.account_id!r} is not known here; feed it first", 404)


def _make_promise(turn: Turn, asked: c.MakePromise) -> dict[str, Any]:
    _known_account(turn)
    envelope = turn.event.envelope
    taking = promise.Taking(envelope.id, envelope.known_at, turn.actor)
    made, facts = promise.make(turn.case, asked, turn.rules, taking)
    turn.facts += facts
    return {
        "promise_id": str(made.promise_id),
        "status": made.status,
        "amount_minor": made.amount_minor,
        "currency": made.currency,
        "due_on": made.due_on.isoformat(),
        "judged_from_on": made.judged_from_on.isoformat(),
        "items": made.items,
        "superseded": [str(f.promise_id) for f in facts if f.promise_id != made.promise_id],  # type: ignore[attr-defined]
    }


def _cancel_promise(turn: Turn, asked: c.CancelPromise) -> dict[str, Any]:
    turn.facts.append(promise.cancel(turn.case, asked, turn.on))
    return {"promise_id": str(asked.promise_id), "status": "cancelled"}


def _allow_promise(turn: Turn, asked: c.AllowPromise) -> dict[str, Any]:
    _known_account(turn)
    promise.allow(turn.case)
    note = c.LogActivity(account_id=asked.account_id, kind="note", direction="internal", text=asked.reason)
    turn.facts.append(_logged(turn, note))
    return {"account_id": asked.account_id, "allowances": turn.case.account.allowances}


def _open_dispute(turn: Turn, asked: c.OpenDispute) -> dict[str, Any]:
    envelope = turn.event.envelope
    made, facts = disputes.open_dispute(turn.case, asked, turn.rules, envelope.id, turn.actor, envelope.known_at)
    turn.facts += facts
    return _dispute_reply(made)


def _update_dispute(turn: Turn, asked: c.UpdateDispute) -> dict[str, Any]:
    changed, facts = disputes.update(turn.case, asked, turn.rules)
    turn.facts += facts
    return _dispute_reply(changed)


def _resolve_dispute(turn: Turn, asked: c.ResolveDispute) -> dict[str, Any]:
    resolved, facts = disputes.resolve(turn.case, asked, turn.rules, turn.event.envelope.id, turn.actor)
    turn.facts += facts
    return _dispute_reply(resolved)


def _dispute_reply(dispute: Any) -> dict[str, Any]:
    return {
        "dispute_id": str(dispute.dispute_id),
        "version": dispute.version,
        "status": dispute.status,
        "outcome": dispute.outcome,
        "disputed_minor": dispute.disputed_minor,
        "credited_minor": dispute.credited_minor,
        "currency": dispute.currency,
        "due_on": dispute.due_on.isoformat(),
    }


def _decide_hold(turn: Turn, asked: c.DecideHold) -> dict[str, Any]:
    hold = turn.case.holds.get(asked.hold_id)
    if hold is None:
        raise Refusal("hold_unknown", f"account {turn.case.account_id} has no hold {asked.hold_id}", 404)
    if reason := holds.reason_to_end(turn.case, turn.rules) if hold.status == "proposed" else None:
        raise Refusal("hold_not_due", f"the hold has lost its reason ({reason}) and is being withdrawn")
    approved = _approved(turn, hold, asked)
    row = holds.approval_of(turn.case, hold)
    decided = {"decided_by": approved.decided_by, "decided_on_behalf_of": approved.decided_on_behalf_of}
    outcome = "approved" if asked.approve else "refused"
    turn.case.put(replace(row, **decided, decided_at=approved.decided_at, outcome=outcome, reason=asked.reason or None))
    if asked.approve:
        turn.facts += holds.order(turn.case, hold, approved.decided_at, approved.decided_by, row.id)
    else:
        turn.facts += holds.refuse(turn.case, hold, turn.on, asked.reason)
    after = turn.case.holds[hold.hold_id]
    return {"hold_id": str(hold.hold_id), "status": after.status, "version": after.version}


def _approved(turn: Turn, hold: Hold, asked: c.DecideHold) -> Approved:
    """The decision of the person, maker not checker and for what was shown. Raises Refusal."""
    pending = {"proposed": "pending", "refused": "refused"}.get(hold.status, "approved")
    request = ApprovalRequest(
        id=holds.approval_id_of(hold),
        company=hold.company,
        kind="hold",
        subject_id=str(hold.hold_id),
        body_hash=hold.body_sha256,
        customer_id=hold.account_id,
        reason_code=hold.grade,
        amount_minor=None,
        currency=None,
        requested_by=hold.proposed_by,
        requested_at=hold.from_at,
        outcome=pending,
    )
    decided = decide(
        request,
        asked.person,
        {},
        [],
        turn.event.envelope.known_at,
        shown_hash=asked.body_sha256,
        current_hash=hold.body_sha256,
    )
    if not isinstance(decided, Approved):
        raise Refusal(decided.code, decided.reason, 409)
    return decided


def _log_activity(turn: Turn, asked: c.LogActivity) -> dict[str, Any]:
    _known_account(turn)
    fact = _logged(turn, asked)
    turn.facts.append(fact)
    return {"activity_id": str(fact.activity_id)}


def _logged(turn: Turn, asked: c.LogActivity) -> Any:
    envelope = turn.event.envelope
    return activities.log(turn.case, asked, envelope.id, turn.actor, turn.on, envelope.known_at)


def _release_notice(turn: Turn, asked: c.ReleaseNotice) -> dict[str, Any]:
    notice = turn.case.notices.get(asked.notice_id)
    if notice is None or notice.status != "unknown":
        raise Refusal("notice_not_unknown", "only a notice of unknown fate can be released", 409)
    turn.case.put(replace(notice, released=True))
    note = c.LogActivity(account_id=asked.account_id, kind="note", direction="internal", text=asked.reason)
    turn.facts.append(_logged(turn, note))
    return {"notice_id": str(notice.notice_id), "released": True}


def _escalate(turn: Turn, asked: c.RaiseEscalation) -> dict[str, Any]:
    envelope = turn.event.envelope
    facts = escalation.by_person(turn.case, asked, turn.rules, envelope.id, envelope.known_at)
    turn.facts += facts
    return {"escalation_id": str(facts[0].escalation_id)}  # type: ignore[attr-defined]


def _take(rule: Callable[..., None], turn: Turn, fact: Any, *, dated: bool = False) -> None:
    rule(turn.case, fact, turn.on) if dated else rule(turn.case, fact)


ON_ACCOUNT: dict[type, Callable[[Turn, Any], Any]] = {
    **dict.fromkeys((a.AccountRegistered, a.AccountUpdated), _account),
    a.ContactUpdated: _contact,
    a.MessageReceived: _message,
    **dict.fromkeys((le.ItemOpened, le.ItemChanged, le.ItemSettled, le.ItemReopened), _item),
    le.CashChanged: partial(_take, ledger.take_cash, dated=True),
    le.CashCandidate: partial(_take, ledger.take_candidate, dated=True),
    le.CashCandidateCleared: partial(_take, ledger.clear_candidate),
    le.DeductionRaised: _deduction,
    **dict.fromkeys(answers.STATUS_OF, _answer),
    n.ContactInvalidated: partial(_take, masterdata.invalidate),
    **dict.fromkeys((n.EffectConfirmed, n.EffectFailed), _effect),
    c.MakePromise: _make_promise,
    c.CancelPromise: _cancel_promise,
    c.AllowPromise: _allow_promise,
    c.OpenDispute: _open_dispute,
    c.UpdateDispute: _update_dispute,
    c.ResolveDispute: _resolve_dispute,
    c.DecideHold: _decide_hold,
    c.LogActivity: _log_activity,
    c.ReleaseNotice: _release_notice,
    c.RaiseEscalation: _escalate,
}
