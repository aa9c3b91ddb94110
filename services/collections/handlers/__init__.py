"""What collections makes of an event, a command or a closed day: the dispatch from inputs to pure rules and back.

Invariant: holds are looked at after every fact that can end their reason, in the transaction of that fact.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from services.collections import store
from services.collections.domain import day, holds, ledger
from services.collections.domain.case import Case, changed_rows
from services.collections.domain.policy import MODELS, DunningPolicy, HoldPolicy, PolicyInvalid, read_policy
from services.collections.domain.refusal import Refusal
from services.collections.domain.rules import Rules
from services.collections.handlers.commands import COMMANDS
from services.collections.handlers.facts import FACTS
from services.collections.handlers.turn import Turn
from shared.calendars import CalendarUnknown
from shared.errors import Rejected
from shared.events import ledger as le
from shared.events.codec import Event
from shared.events.collections import HoldState, NoticeRequested
from shared.events.facts import Fact
from shared.runtime.effects import DayWork, Effects, Moment, PoisonEvent
from shared.runtime.policies import name_refused

ON_ACCOUNT: dict[type, Callable[[Turn, Any], Any]] = {**FACTS, **COMMANDS}
DAY_PARTS = 4


class CollectionsHandler:
    """The handler that the runtime calls; it keeps nothing between calls."""

    day_parts = DAY_PARTS
    day_phase2 = False

    async def load(self, db: Any, events: Sequence[Event], moment: Moment) -> store.State:
        name_refused(self, events)
        return await store.load(db, events)

    def decide(self, state: store.State, events: Sequence[Event], moment: Moment) -> Effects:
        effects = Effects()
        rules = RulesOf(moment)
        for event in events:
            try:
                _decide(state, event, moment, rules, effects)
            except Refusal as refusal:
                facts = {"what_to_do": refusal.what_to_do} if refusal.what_to_do else {}
                raise Rejected(refusal.code, refusal.message, refusal.status, **facts) from refusal
            except CalendarUnknown as problem:
                raise PoisonEvent(event, str(problem)) from problem
        effects.rows = changed_rows(state.cases.values())
        return effects

    async def save(self, db: Any, effects: Effects) -> None:
        await store.save(db, effects.rows)

    async def totals(self, db: Any, closed: DayWork) -> dict[str, Any]:
        return await store.totals(db, closed.company)

    def policy_problem(self, name: str, content: dict[str, Any]) -> str | None:
        if name not in MODELS:
            return None
        try:
            read_policy(MODELS[name], content)
        except PolicyInvalid as problem:
            return str(problem)
        return ""


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
        dunning, dunning_label = _readable(moment, company, DunningPolicy, on)
        of_holds, holds_label = _readable(moment, company, HoldPolicy, on)
        return Rules(
            company=company,
            on=on,
            calendar=configured.calendar,
            zone=configured.time_zone,
            base_currency=configured.base_currency,
            dunning=dunning,
            dunning_label=dunning_label,
            holds=of_holds,
            holds_label=holds_label,
            rate=lambda pair: moment.rate(company, pair, on),
        )


def _readable(moment: Moment, company: str, model: type[Any], on: date) -> tuple[Any, str]:
    """The policy in effect with its label; one that cannot be read is passed over for the one before it."""
    for active in moment.policies_until(company, model.model_fields["name"].default, on):
        try:
            return read_policy(model, active.content), active.label
        except PolicyInvalid:  # shown under /v1/runtime/policies
            continue
    return None, ""


def _decide(state: store.State, event: Event, moment: Moment, rules: RulesOf, effects: Effects) -> None:
    data = event.data
    if isinstance(data, DayWork):
        _close_day(state, event, moment, rules, effects)
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
