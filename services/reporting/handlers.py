"""Folds every topic into the projections, and takes stock at each day's close. Publishes nothing.

Invariant: reading a fact twice, or an older version late, changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from services.reporting.domain.reconciliation import compare
from services.reporting.domain.snapshot import snapshot
from services.reporting.projections import accounts, collections, documents, items, notices, payments
from services.reporting.projections.rows import Known, Rows
from services.reporting.store import DayFacts, forget_day, load_day, load_items, load_payments, save_rows
from services.reporting.store.days import SALES_DAYS
from shared.events import accounts as account_facts
from shared.events import collections as collection_facts
from shared.events import invoices as invoice_facts
from shared.events import ledger
from shared.events import notifications as notice_facts
from shared.events import payments as payment_facts
from shared.events.catalogue import LEDGER
from shared.events.codec import Event
from shared.runtime.effects import DayWork, Effects, Moment

ITEM_EVENTS = (ledger.ItemState,)
PAYMENT_EVENTS = (ledger.PaymentState,)


class ReportingHandler:
    """One serial task per closed day; everything else is folding."""

    day_parts = 0
    day_phase2 = True

    async def load(self, db: Any, events: Sequence[Event], moment: Moment) -> Known:
        """States of the items and payments of the batch, locked; the facts of a day for day work."""
        known = Known()
        known.items = await load_items(
            db, [(e.company, e.data.item_id) for e in events if isinstance(e.data, ITEM_EVENTS)]
        )
        known.payments = await load_payments(
            db, [(e.company, e.data.payment_id) for e in events if isinstance(e.data, PAYMENT_EVENTS)]
        )
        work = _day_work(events)
        if work is not None:
            known.day = await load_day(db, work.company, work.date)
            await forget_day(db, work.company, work.date)
        return known

    def decide(self, state: Known, events: Sequence[Event], moment: Moment) -> Effects:
        effects = Effects(rows=Rows())
        for event in events:
            if isinstance(event.data, DayWork):
                _close_day(effects.rows, state.day, event.data, moment)
            elif fold := FOLDS.get(type(event.data)):
                fold(effects.rows, state, event)
        return effects

    async def save(self, db: Any, effects: Effects) -> None:
        await save_rows(db, effects.rows)

    async def totals(self, db: Any, closed: DayWork) -> dict[str, Any]:
        """Nobody reads a marker of this service."""
        return {}


def _day_work(events: Sequence[Event]) -> DayWork | None:
    """Day work comes alone in its transaction."""
    found = [event.data for event in events if isinstance(event.data, DayWork)]
    assert len(found) <= 1, "two days were closed in one transaction"
    return found[0] if found else None


def _close_day(rows: Rows, facts: DayFacts, work: DayWork, moment: Moment) -> None:
    config = moment.companies.get(work.company)
    base = config.base_currency if config else ""
    reconciled = compare(work.bodies.get(LEDGER, {}).get("totals"), facts.found, facts.own)
    made = snapshot(
        work.date,
        base,
        lambda pair: moment.rate(work.company, pair, work.date),
        amounts=facts.amounts,
        credits=facts.credits,
        sales=facts.sales,
        sales_days=SALES_DAYS,
        items=facts.items,
        cash_in=facts.cash_in,
        notices=facts.notices,
        reconciled=reconciled,
    )
    head = {"company": work.company, "date": work.date}
    reach = {bank: day.isoformat() if day else None for bank, day in work.bank_accounts.items()}
    day = head | {"number": work.number, "base_currency": base, "bank_accounts": reach, "figures": made.figures}
    rows.put("day_snapshot", tuple(head.values()), day)
    for currency, bucket, amount, disputed, in_base in made.aging:
        row = head | {"currency": currency, "bucket": bucket, "amount_minor": amount}
        rows.put("day_aging", (currency, bucket), row | {"disputed_minor": disputed, "base_minor": in_base})
    for figure in reconciled:
        row = head | asdict(figure) | {"difference_minor": figure.difference_minor}
        rows.put("reconciliation", (figure.scope, figure.figure, figure.currency), row)


Fold = Callable[[Rows, Known, Event], None]


def _plain(fold: Callable[[Rows, Event], None]) -> Fold:
    return lambda rows, known, event: fold(rows, event)


def _each(fold: Fold, *models: type) -> dict[type, Fold]:
    return dict.fromkeys(models, fold)


FOLDS: dict[type, Fold] = {
    **_each(_plain(accounts.account), account_facts.AccountRegistered, account_facts.AccountUpdated),
    **_each(_plain(accounts.contact), account_facts.ContactUpdated),
    **_each(_plain(accounts.refused), notice_facts.ContactInvalidated),
    **_each(
        _plain(documents.document),
        invoice_facts.InvoiceIssued,
        invoice_facts.DebitMemoIssued,
        invoice_facts.CreditMemoIssued,
    ),
    **_each(_plain(documents.cancelled), invoice_facts.InvoiceCancelled),
    **_each(items.item, ledger.ItemOpened, ledger.ItemChanged, ledger.ItemSettled, ledger.ItemReopened),
    **_each(_plain(items.cash), ledger.CashChanged),
    **_each(_plain(payments.received), payment_facts.PaymentReceived),
    **_each(_plain(payments.returned), payment_facts.PaymentReturned),
    **_each(_plain(payments.debited), payment_facts.BankDebitReceived),
    **_each(
        payments.state,
        ledger.PaymentIdentified,
        ledger.PaymentUnidentified,
        ledger.PaymentApplied,
        ledger.PaymentUnapplied,
    ),
    **_each(_plain(payments.suggested), ledger.PaymentSuggested),
    **_each(_plain(payments.withdrawn), ledger.SuggestionWithdrawn),
    **_each(_plain(payments.candidate), ledger.CashCandidate),
    **_each(_plain(payments.cleared), ledger.CashCandidateCleared),
    **_each(
        _plain(payments.statement),
        payment_facts.StatementReceived,
        payment_facts.StatementHeld,
        payment_facts.StatementReleased,
    ),
    **_each(_plain(payments.gap), payment_facts.StatementGapNoticed),
    **_each(_plain(payments.quarantined), payment_facts.RecordQuarantined, payment_facts.RecordReleased),
    **_each(
        _plain(collections.promise),
        collection_facts.PromiseMade,
        collection_facts.PromiseKept,
        collection_facts.PromisePartlyKept,
        collection_facts.PromiseBroken,
        collection_facts.PromiseSuperseded,
        collection_facts.PromiseCancelled,
    ),
    **_each(
        _plain(collections.dispute),
        collection_facts.DisputeOpened,
        collection_facts.DisputeUpdated,
        collection_facts.DisputeResolved,
    ),
    **_each(
        _plain(collections.hold),
        collection_facts.HoldOrdered,
        collection_facts.HoldRenewed,
        collection_facts.HoldLifted,
        collection_facts.HoldProposed,
        collection_facts.HoldRefused,
        collection_facts.HoldWithdrawn,
    ),
    **_each(_plain(collections.effect), notice_facts.EffectConfirmed, notice_facts.EffectFailed),
    **_each(_plain(collections.activity), collection_facts.ActivityLogged),
    **_each(_plain(collections.escalation), collection_facts.EscalationRaised),
    **_each(_plain(notices.requested), collection_facts.NoticeRequested),
    **_each(
        _plain(notices.outcome),
        notice_facts.NoticeSending,
        notice_facts.NoticeSent,
        notice_facts.NoticeWithheld,
        notice_facts.NoticeFailed,
        notice_facts.NoticeUnknown,
    ),
}
