"""What collections makes of the facts of the other services, one function per kind of fact."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from services.collections.domain import activities, answers, ledger, masterdata
from services.collections.handlers.turn import Turn
from shared.calendars import next_business_day
from shared.events import accounts as a
from shared.events import ledger as le
from shared.events import notifications as n

DEDUCTION_DAYS = 5
TEXT_MAX = 4000


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
            activities.Task(
                kind="email",
                direction="in",
                addressee=turn.case.account.collector,
                text=fact.text[:TEXT_MAX],
                next_step="Answer the customer",
                next_on=next_business_day(turn.on, turn.rules.calendar),
            ),
        )


def _deduction(turn: Turn, fact: le.DeductionRaised) -> None:
    turn.facts += activities.by_rule(
        turn.case,
        f"deduction/{fact.item_id}",
        turn.on,
        turn.event.envelope.known_at,
        activities.Task(
            kind="ticket",
            addressee="billing",
            text=f"The customer deducted from its payment ({fact.reason_code or 'no reason given'}).",
            next_step="Accept the deduction or open a dispute",
            next_on=turn.on + timedelta(days=DEDUCTION_DAYS),
            items=[str(fact.item_id)],
        ),
    )


def _answer(turn: Turn, fact: n.NoticeState) -> None:
    answers.take_answer(turn.case, fact, turn.on)


def _effect(turn: Turn, fact: n.EffectConfirmed | n.EffectFailed) -> None:
    turn.facts += answers.take_effect(turn.case, fact, turn.on, turn.event.envelope.known_at)


def _take(rule: Callable[..., None], turn: Turn, fact: Any, *, dated: bool = False) -> None:
    rule(turn.case, fact, turn.on) if dated else rule(turn.case, fact)


FACTS: dict[type, Callable[[Turn, Any], None]] = {
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
}
