"""Decides every input of notifications: facts become copies, requests become rows, judgements and answers become facts.

Invariant: nothing leaves without a binding judgement in the transaction that decides here.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.notifications.domain import gate, holds, notices
from services.notifications.domain.commands import Answered, Delivered, JudgeHold, JudgeNotice, RetryNotice
from services.notifications.domain.copies import COPIED, copy_fact
from services.notifications.domain.model import BankReach, Known, Pass, Reached, Stopped, Wait
from services.notifications.domain.policy import NAME, ContactPolicy, read_policy
from services.notifications.domain.rows import EffectRow, Key, NoticeRow, Rows
from services.notifications.store import (
    Loaded,
    add_effects,
    add_gate_records,
    add_notices,
    backlog,
    count_pending,
    count_statuses,
    load_effects,
    load_known,
    load_notices,
    load_retried,
    lock_accounts,
    save_effects,
    save_facts,
    save_notices,
)
from shared import metrics
from shared.errors import Rejected, Transient
from shared.events.accounts import MessageReceived
from shared.events.codec import Event
from shared.events.collections import HoldLifted, HoldOrdered, HoldRenewed, NoticeRequested
from shared.events.notifications import ContactInvalidated
from shared.ids import derive
from shared.runtime.day import envelope_body
from shared.runtime.effects import DayWork, Effects, Moment, Policy
from shared.runtime.policies import name_refused

HOLD_EVENTS = (HoldOrdered, HoldRenewed, HoldLifted)
BOUNCE_IS_FINAL = "Status: 5."
PENDING_EVIDENCE = "notices that are due were not yet put to the gate"


class NotificationsHandler:
    """`stream`: the business clock is the stream's, so that now is the last complete tick."""

    day_parts = 0

    def __init__(self, *, stream: bool = False) -> None:
        self.stream = stream
        self.day_phase2 = stream

    async def load(self, db: Any, events: Sequence[Event], moment: Moment) -> Loaded:
        """Locks of all accounts of the batch; notices, effects and what the gate looks at only where it is needed."""
        name_refused(self, events)
        await lock_accounts(db, [(e.company, a) for e in events if (a := getattr(e.data, "account_id", None))])
        loaded = Loaded()
        loaded.notices = await load_notices(db, _notice_keys(events))
        loaded.retried = await load_retried(
            db, [(e.company, e.data.notice_id) for e in events if isinstance(e.data, RetryNotice)]
        )
        held = [(e.company, e.data.hold_id) for e in events if isinstance(e.data, HOLD_EVENTS)]
        named = [(e.company, e.data.effect_id) for e in events if isinstance(e.data, JudgeHold | Answered)]
        loaded.effects = await load_effects(db, named, held)
        judged = [e for e in events if isinstance(e.data, JudgeNotice | JudgeHold)]
        if judged:
            asked = [
                (row.company, item.item_id) for row in loaded.notices.values() for item in notices.asked_of(row).items
            ]
            accounts = [(e.company, e.data.account_id) for e in judged]
            loaded.known = await load_known(db, accounts, asked, moment.now.date() if moment.now else None)
        work = next((e.data for e in events if isinstance(e.data, DayWork)), None)
        if work is not None:
            loaded.pending += await count_pending(db, work.company, _end_of(work, moment), moment.number)
        return loaded

    def policy_problem(self, name: str, content: dict[str, Any]) -> str | None:
        if name != NAME:
            return None
        found = read_policy(content)
        return found if isinstance(found, str) else ""

    def decide(self, state: Loaded, events: Sequence[Event], moment: Moment) -> Effects:
        """Effects of the batch, event by event, on state that moves along."""
        effects = Effects(rows=Rows())
        for event in events:
            if isinstance(event.data, COPIED):
                copy_fact(effects.rows, event.data, event.envelope.business_date)
            elif (rule := self._rules().get(type(event.data))) is not None:
                rule(state, effects, event, moment)
        return effects

    def _rules(self) -> dict[type, Callable[[Loaded, Effects, Event, Moment], None]]:
        return {
            NoticeRequested: _request,
            HoldOrdered: _hold,
            HoldRenewed: _hold,
            HoldLifted: _hold,
            MessageReceived: _message,
            JudgeNotice: self._judge_notice,
            JudgeHold: self._judge_hold,
            Delivered: self._delivered,
            Answered: self._answered,
            RetryNotice: self._retry,
            DayWork: _day,
        }

    async def save(self, db: Any, effects: Effects) -> None:
        rows: Rows = effects.rows
        await save_facts(db, rows)
        await add_notices(db, list(rows.new_notices.values()))
        await save_notices(db, list(rows.notices.values()))
        await save_effects(db, list(rows.effects.values()))
        await add_effects(db, list(rows.new_effects.values()))
        await add_gate_records(db, rows.gate_records)

    async def totals(self, db: Any, closed: DayWork) -> dict[str, Any]:
        """Counts of notices and deliveries by status at this cut."""
        return await count_statuses(db, closed.company)

    async def measure(self, db: Any, wall_now: datetime) -> None:
        """Gauges of what waits to leave, looked up with those of the runtime."""
        waiting = await backlog(db, wall_now)
        metrics.WEBHOOK_BACKLOG.set(waiting["deliveries"])
        metrics.WEBHOOK_OLDEST.set(waiting["oldest_s"])
        metrics.NOTICES_WAITING.set(waiting["notices"])

    def _judge_notice(self, state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
        told: JudgeNotice = event.data
        row = _claimed_notice(state, told)
        if row is None or row.status != "requested":
            return
        reached = self._reached(moment, told.company, told.at)
        known = _known(state, moment, told.company, told.account_id)
        policy, label = _policy(moment, told.company, gate.today(reached))
        outcome = gate.judge(notices.asked_of(row), known, reached, policy)
        domain = policy.sender.domain if isinstance(policy, ContactPolicy) else ""
        facts = notices.judged(row, outcome, reached, told.binding, domain)
        for fact in facts:
            effects.emit(event, fact, row.notice_id, policy=label)
        if isinstance(outcome, Pass) and isinstance(policy, ContactPolicy):
            effects.rows.letters[told.company, row.notice_id] = notices.letter_of(row, outcome, known, policy, reached)
        if row.status == "sending" and row.sent_on:
            state.known[told.company, told.account_id] = replace(known, sent_on=(*known.sent_on, row.sent_on))
        if not isinstance(outcome, Wait) and (told.binding or not isinstance(outcome, Pass)):
            effects.rows.gate_records.append(notices.record_of(row, outcome, reached, told.claim, told.at, label))
        effects.rows.notices[row.company, row.notice_id] = row

    def _judge_hold(self, state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
        told: JudgeHold = event.data
        row = _claimed_effect(state, told)
        if row is None or row.status != "due":
            return
        effects.rows.effects[row.company, row.effect_id] = row
        if not row.gated:
            holds.begun(row, told.at)
            return
        reached = self._reached(moment, told.company, told.at)
        known = _known(state, moment, told.company, told.account_id)
        policy, label = _policy(moment, told.company, gate.today(reached))
        outcome = gate.judge_hold(holds.asked_of(row), known, reached, policy)
        for fact in holds.judged(row, outcome, reached, told.at):
            effects.emit(event, fact, row.effect_id, policy=label)
        if not isinstance(outcome, Wait):
            effects.rows.gate_records.append(holds.record_of(row, outcome, reached, told.claim, told.at, label))

    def _delivered(self, state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
        told: Delivered = event.data
        row = _claimed_notice(state, told)
        if row is None or row.status not in ("requested", "sending"):
            return
        for fact in notices.delivered(row, told, self._now(moment, told.at)):
            effects.emit(event, fact, row.notice_id)
            if isinstance(fact, ContactInvalidated):
                effects.rows.refused.add((row.company, row.account_id, row.contact_id))
        effects.rows.notices[row.company, row.notice_id] = row

    def _answered(self, state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
        told: Answered = event.data
        row = _claimed_effect(state, told)
        if row is None or row.status not in ("due", "superseded"):
            return
        for fact in holds.answered(row, told, self._now(moment, told.at)):
            effects.emit(event, fact, row.effect_id)
        effects.rows.effects[row.company, row.effect_id] = row

    def _retry(self, state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
        """Raises Rejected when the notice is not there, its outcome is known, or a retry of it may still arrive."""
        told: RetryNotice = event.data
        row = state.notices.get((event.company, told.notice_id))
        if row is None:
            what_to_do = f"use an id of GET /v1/companies/{event.company}/notices"
            message = f"company {event.company!r} has no notice {told.notice_id}"
            raise Rejected("notice_unknown", message, 404, what_to_do=what_to_do)
        if row.status not in notices.RETRYABLE:
            raise Rejected(
                "notice_not_retryable",
                f"the notice is {row.status}; only one that is {' or '.join(notices.RETRYABLE)} can be asked for again",
            )
        if (event.company, row.notice_id) in state.retried:
            raise Rejected(
                "notice_already_retried",
                "a retry of this notice waits, was sent or is unknown; look at that one instead",
            )
        new_id = derive("notice", "retry", event.envelope.id)
        now = self._now(moment, event.envelope.time)
        policy, _ = _policy(moment, event.company, event.envelope.business_date)
        days = policy.retry_valid_days if isinstance(policy, ContactPolicy) else 1
        request = notices.retried(row, new_id, now, days)
        again = notices.new_notice(request, envelope_body(event.envelope), retry_of=row.notice_id)
        effects.rows.new_notices[event.company, new_id] = again
        effects.reply = {"notice_id": str(new_id), "retry_of": str(row.notice_id), "status": again.status}

    def _now(self, moment: Moment, wall: datetime) -> datetime:
        return moment.now if self.stream and moment.now else wall

    def _reached(self, moment: Moment, company: str, wall: datetime) -> Reached:
        config = moment.companies[company]
        return Reached(
            now=self._now(moment, wall),
            tick_at=moment.now,
            tick_number=moment.number,
            closed_on=moment.closed_on.get(company),
            banks=banks_of(moment, company),
            time_zone=config.time_zone,
            calendar=config.calendar,
        )


def banks_of(moment: Moment, company: str) -> tuple[BankReach, ...]:
    """Bank accounts in which the company's money arrives: its own, and those of others that serve it."""
    return tuple(
        BankReach(
            bank_account=f"{owner}/{bank.id}",
            calendar=bank.calendar,
            complete_through_on=moment.reach[owner].bank_accounts.get(bank.id) if owner in moment.reach else None,
        )
        for owner, config in sorted(moment.companies.items())
        for bank in config.bank_accounts
        if owner == company or company in bank.serves
    )


def _policy(moment: Moment, company: str, on: Any) -> tuple[ContactPolicy | str | None, str]:
    found: Policy | None = moment.policy(company, NAME, on)
    return (read_policy(found.content), found.label) if found else (None, "")


def _known(state: Loaded, moment: Moment, company: str, account_id: str) -> Known:
    """What is known of the account, with what the services upstream have parked."""
    known = state.known[company, account_id]
    reach = moment.reach.get(company)
    if reach is None:
        return known
    parked = tuple(Stopped(p.kind, p.id, p.account_id, p.amount_minor) for p in reach.parked if p.company == company)
    return replace(known, stopped=tuple(dict.fromkeys(known.stopped + parked)), stopped_more=reach.parked_more)


def _request(state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
    row = notices.new_notice(event.data, envelope_body(event.envelope))
    effects.rows.new_notices.setdefault((row.company, row.notice_id), row)


def _hold(state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
    data = event.data
    policy, _ = _policy(moment, event.company, event.envelope.business_date)
    days = policy.hold_wait_days if isinstance(policy, ContactPolicy) else holds.HOLD_WAIT_DAYS_WITHOUT_POLICY
    earlier = [e for e in state.effects.values() if (e.company, e.hold_id) == (event.company, data.hold_id)]
    row = holds.new_effect(data, earlier, envelope_body(event.envelope), moment.number, days)
    if row is None:
        return
    for older in earlier:
        key = (older.company, older.effect_id)
        if key not in effects.rows.new_effects:
            effects.rows.effects[key] = older
    state.effects[row.company, row.effect_id] = row
    effects.rows.new_effects[row.company, row.effect_id] = row


def _message(state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
    """A bounce that says for good makes the contact invalid."""
    data: MessageReceived = event.data
    row = state.notices.get((event.company, data.notice_id)) if data.notice_id else None
    if data.kind != "bounce" or row is None or BOUNCE_IS_FINAL not in data.text:
        return
    fact = ContactInvalidated(
        company=row.company,
        account_id=row.account_id,
        contact_id=row.contact_id,
        channel=row.channel,
        evidence=f"bounce of notice {row.notice_id}",
    )
    effects.emit(event, fact, row.contact_id)
    effects.rows.refused.add((row.company, row.account_id, row.contact_id))


def _day(state: Loaded, effects: Effects, event: Event, moment: Moment) -> None:
    """With a stream clock the day ends only when every notice that was due in it was put to the gate."""
    if state.pending:
        raise Transient(f"{state.pending} {PENDING_EVIDENCE}; the day's marker waits for the dispatcher")


def _end_of(work: DayWork, moment: Moment) -> datetime:
    body = next(iter(work.bodies.values()), {})
    return datetime.fromisoformat(body["at"]) if "at" in body else moment.now


def _notice_keys(events: Sequence[Event]) -> list[Key]:
    with_notice = JudgeNotice | Delivered | RetryNotice | MessageReceived
    return [(e.company, e.data.notice_id) for e in events if isinstance(e.data, with_notice) and e.data.notice_id]


def _claimed_notice(state: Loaded, told: JudgeNotice | Delivered) -> NoticeRow | None:
    """The row if the teller still holds it; another dispatcher may have taken it after the lease ended."""
    row = state.notices.get((told.company, told.notice_id))
    return row if row is not None and row.claims == told.claim else None


def _claimed_effect(state: Loaded, told: JudgeHold | Answered) -> EffectRow | None:
    row = state.effects.get((told.company, told.effect_id))
    return row if row is not None and row.claims == told.claim else None
