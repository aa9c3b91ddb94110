"""What an event says, in a sentence for people: amounts, dates, reasons by their code; no personal data.

Invariant: an event type without a sentence of its own is told by its name and its plain fields, never left out.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from shared.events import accounts, collections, control, invoices, ledger, notifications, payments
from shared.events.codec import Event
from shared.events.facts import Source, personal_fields
from shared.ids import show
from shared.money import to_decimal

LISTED_MAX = 5
Numbers = Mapping[UUID, str]
Sentence = Callable[[Any, Numbers], str]


def told(event: Event, numbers: Numbers) -> str:
    """The sentence of an event; `numbers`: how people call items and documents."""
    for model in type(event.data).__mro__:
        if model in SENTENCES:
            return SENTENCES[model](event.data, numbers)
    return _plain(event)


def _plain(event: Event) -> str:
    hidden = personal_fields(type(event.data)) | {"company"}
    facts = {n: getattr(event.data, n) for n in type(event.data).model_fields if n not in hidden}
    simple = {n: v for n, v in facts.items() if isinstance(v, str | int | date | UUID) and v not in ("", 0)}
    return f"{spoken(event.type)}: " + ", ".join(f"{spoken(n)} {v}" for n, v in simple.items())


def money(amount_minor: int, currency: str | None) -> str:
    """`1,234.50 EUR`; minor units as they are where the currency is not known."""
    return f"{to_decimal(amount_minor, currency):,} {currency}" if currency else f"{amount_minor:,} minor units"


def day(on: date | datetime | None) -> str:
    """`5 Jan 2026`, of an instant with its time in UTC."""
    if on is None:
        return "no date"
    text = f"{on.day} {on:%b %Y}"
    return f"{text} {on:%H:%M} UTC" if isinstance(on, datetime) else text


def spoken(code: str) -> str:
    """A code in plain letters: `BANK_DATA_INCOMPLETE` is `bank data incomplete`."""
    return code.replace("_", " ").replace(".", " ").strip().lower()


def number_of(identity: UUID, numbers: Numbers, kind: str = "item") -> str:
    return numbers.get(identity) or f"{show(kind, identity)[:12]}…"


def listed(parts: Sequence[str]) -> str:
    """At most five of them, and how many more."""
    more = len(parts) - LISTED_MAX
    return ", ".join(parts[:LISTED_MAX]) + (f" and {more} more" if more > 0 else "")


def _from(source: Source) -> str:
    place = source.file or (show("submission", source.submission_id) if source.submission_id else "")
    line = f", line {source.line}" if source.line else ""
    return f"; from {place}{line}" if place else ""


def _document(d: invoices.Document, _: Numbers) -> str:
    kind = {"invoice": "invoice", "debit_memo": "debit memo", "credit_memo": "credit memo"}[d.document_type]
    due = "" if d.document_type == "credit_memo" else f", due {day(d.due_on)}"
    return (f"{kind} {d.number} of {day(d.document_on)} over {money(d.total_minor, d.currency)} to account "
            f"{d.account_id}{due}{_from(d.source)}")  # fmt: skip


def _cancelled(d: invoices.InvoiceCancelled, numbers: Numbers) -> str:
    why = f" ({spoken(d.reason_code)})" if d.reason_code else ""
    return f"{d.number or number_of(d.document_id, numbers, 'document')} cancelled on {day(d.cancelled_on)}{why}"


def _rebilled(d: invoices.InvoiceRebilled, numbers: Numbers) -> str:
    old = number_of(d.replaces_document_id, numbers, "document")
    kept = "the due date stays" if d.keeps_due_date else "with a new due date"
    return f"{number_of(d.document_id, numbers, 'document')} replaces {old}, {kept}"


def _credit(d: payments.BankCredit, _: Numbers) -> str:
    what = "booked" if isinstance(d, payments.PaymentReceived) else "announced, not yet booked"
    names = [line.document for line in d.remittance]
    says = f"; the payer names {listed(names)}" if names else ""
    reference = f"; reference {d.references.creditor_reference}" if d.references.creditor_reference else ""
    return (f"{money(d.amount_minor, d.currency)} {what} on {d.bank_account}, valued {day(d.valued_on)}"
            f"{reference}{says}{_from(d.source)}")  # fmt: skip


def _returned(d: payments.PaymentReturned, _: Numbers) -> str:
    why = f" ({d.reason_code})" if d.reason_code else ""
    return f"the bank took {money(d.amount_minor, d.currency)} back on {day(d.accounted_on)}{why}{_from(d.source)}"


def _item(d: ledger.ItemState, _: Numbers) -> str:
    left, whole = money(d.remaining_minor, d.currency), money(d.original_minor, d.currency)
    relief = [f"{money(v, d.currency)} by {spoken(n)}" for n, v in d.relief if v]
    by = f" (relieved {listed(relief)})" if relief else ""
    disputed = f"; {money(d.disputed_minor, d.currency)} disputed" if d.disputed_minor else ""
    ends = {
        ledger.ItemOpened: f"{spoken(d.kind)} {d.number}/{d.line} opened over {whole}, due {day(d.due_on)}",
        ledger.ItemSettled: f"{d.number}/{d.line} settled{by}",
        ledger.ItemReopened: f"{d.number}/{d.line} open again with {left} of {whole}{by}",
    }
    return ends.get(type(d), f"{d.number}/{d.line} has {left} of {whole} left{by}") + disputed


def _applied(d: ledger.PaymentApplied, numbers: Numbers) -> str:
    parts = []
    for each in d.applications:
        beside = {n: v for n, v in each if n not in ("item_id", "cash_minor") and v}
        extra = "".join(f" + {money(v, d.currency)} {spoken(n.removesuffix('_minor'))}" for n, v in beside.items())
        parts.append(f"{number_of(each.item_id, numbers)} {money(each.cash_minor, d.currency)}{extra}")
    left = f"; {money(d.left_minor, d.currency)} left" if d.left_minor else ""
    how = "by itself" if d.automatic else "by a person's decision"
    return f"applied {how} by {spoken(d.rule) or 'no rule'} to {listed(parts)} of account {d.account_id}{left}"


def _identified(d: ledger.PaymentIdentified, _: Numbers) -> str:
    return f"known to be of account {d.account_id} by {spoken(d.rule)}, {money(d.amount_minor, d.currency)} wait"


def _unidentified(d: ledger.PaymentUnidentified, _: Numbers) -> str:
    why = f": {spoken(d.reason_code)}" if d.reason_code else ""
    return f"{money(d.unidentified_minor or d.amount_minor, d.currency)} not identified{why}"


def _unapplied(d: ledger.PaymentUnapplied, _: Numbers) -> str:
    return f"taken off account {d.account_id} again: {spoken(d.reason_code)}"


def _suggested(d: ledger.PaymentSuggested, numbers: Numbers) -> str:
    parts = [f"{number_of(i.item_id, numbers)} {money(i.amount_minor, d.currency)}" for i in d.items]
    chance = f", chance hits expected {d.lambda_value}" if d.lambda_value else ""
    return f"suggestion {d.rank} for account {d.account_id} by {spoken(d.rule)}: {listed(parts)}{chance}"


def _cash(d: ledger.CashChanged, _: Numbers) -> str:
    return (f"account {d.account_id} now has {money(d.unapplied_minor, d.currency)} unapplied and "
            f"{money(d.on_account_minor, d.currency)} on account")  # fmt: skip


def _candidate(d: ledger.CashCandidate, _: Numbers) -> str:
    seen = f" by {listed([spoken(e) for e in d.evidence])}" if d.evidence else ""
    return f"{money(d.amount_minor, d.currency)} ({spoken(d.source)}) may be of account {d.account_id}{seen}"


def _deduction(d: ledger.DeductionRaised, numbers: Numbers) -> str:
    return (f"{money(d.amount_minor, d.currency)} of {number_of(d.from_item_id, numbers)} kept back: "
            f"{spoken(d.reason_code)}, now an item of its own")  # fmt: skip


def _notice_requested(d: collections.NoticeRequested, _: Numbers) -> str:
    totals = listed([money(t.amount_minor, t.currency) for t in d.totals])
    items = listed([i.number for i in d.items])
    return (f"{spoken(d.kind)} of level {d.level} asked for by {d.channel} to contact {d.contact_id} over {totals}: "
            f"{items}; not before {day(d.not_before_at)}")  # fmt: skip


def _promise(d: collections.PromiseState, numbers: Numbers) -> str:
    what = spoken(d.TYPE.partition(".")[2])
    got = sum(r.amount_minor for r in d.received)
    received = f", {money(got, d.currency)} of it received" if d.received else ""
    items = f" for {listed([number_of(i, numbers) for i in d.items])}" if d.items else ""
    by = f", taken by {d.taken_by}" if d.taken_by else ""
    return f"promise of {money(d.amount_minor, d.currency)} until {day(d.due_on)}{items} {what}{received}{by}"


def _dispute(d: collections.DisputeState, numbers: Numbers) -> str:
    end = f", {spoken(d.outcome)}" if d.outcome else ""
    credited = f", {money(d.credited_minor, d.currency)} credited" if d.credited_minor else ""
    return (f"{money(d.disputed_minor, d.currency)} of {number_of(d.item_id, numbers)} disputed "
            f"({spoken(d.reason_code)}): {spoken(d.TYPE.partition('.')[2])}{end}{credited}")  # fmt: skip


def _hold(d: collections.HoldState, _: Numbers) -> str:
    overdue = f", {money(d.overdue_minor, d.currency)} overdue" if d.overdue_minor else ""
    by = f", approved by {d.approved_by}" if d.approved_by else ""
    return (f"{d.kind} hold ({d.grade}) on account {d.account_id} {spoken(d.TYPE.partition('.')[2])}, version "
            f"{d.version}: {spoken(d.cause)}{overdue}{by}")  # fmt: skip


def _escalation(d: collections.EscalationRaised, _: Numbers) -> str:
    overdue = f" with {money(d.overdue_minor, d.currency)} overdue" if d.overdue_minor else ""
    return f"account {d.account_id}{overdue} given to {d.to}: {spoken(d.reason)}"


def _activity(d: collections.ActivityLogged, _: Numbers) -> str:
    outcome = f": {spoken(d.outcome_code)}" if d.outcome_code else ""
    following = f"; next {spoken(d.next_step)} on {day(d.next_on)}" if d.next_step else ""
    return f"{d.kind} on {day(d.done_on)}{outcome}{following}"


def _sending(d: notifications.NoticeSending, _: Numbers) -> str:
    items = listed([i.number for i in d.items])
    return f"the gate found nothing against it; notice over {items} on its way to the mail server"


def _sent(d: notifications.NoticeSent, _: Numbers) -> str:
    return f"mail taken by the mail server, {day(d.sent_at)}, over {listed([i.number for i in d.items])}"


def reasons(found: Sequence[notifications.Reason], numbers: Numbers) -> str:
    def one(r: notifications.Reason) -> str:
        about = f" {number_of(r.item_id, numbers)}" if r.item_id else ""
        return f"{spoken(r.code)}{about}" + (f" ({r.evidence})" if r.evidence else "")

    return listed([one(r) for r in found])


def _withheld(d: notifications.NoticeWithheld, numbers: Numbers) -> str:
    return f"notice withheld by the gate: {reasons(d.reasons, numbers)}"


def _failed(d: notifications.NoticeFailed, _: Numbers) -> str:
    return f"mail refused {'for good' if d.permanent else 'too often'} after {d.attempts} tries: {d.code}"


def _unknown(d: notifications.NoticeUnknown, _: Numbers) -> str:
    return f"not known whether the mail left ({d.code}); it is not sent again by itself"


def _effect(d: notifications.EffectState, numbers: Numbers) -> str:
    what = f"{d.of} {d.state or ''} version {d.version}".replace("  ", " ")
    if isinstance(d, notifications.EffectConfirmed):
        return f"{what} confirmed by {d.target} at try {d.attempts}"
    why = f": {reasons(d.reasons, numbers)}" if d.reasons else ""
    return f"{what} not confirmed by {d.target} after {d.attempts} tries, {spoken(d.code)}{why}"


def _quarantined(d: payments.QuarantineState, _: Numbers) -> str:
    what = "held back" if isinstance(d, payments.RecordQuarantined) else "released"
    amount = f" over {money(d.amount_minor, d.currency)}" if d.amount_minor is not None else ""
    return f"record of kind {spoken(d.kind)}{amount} {what}: {spoken(d.reason)}"


def _statement(d: payments.StatementReceived, _: Numbers) -> str:
    whole = "" if d.balanced else ", which does not add up"
    return (f"statement of {d.bank_account} from {day(d.from_on)} to {day(d.to_on)} with {d.lines} lines{whole}; "
            f"closing {money(d.closing_minor, d.currency)}{_from(d.source)}")  # fmt: skip


def _account(d: accounts.AccountState, _: Numbers) -> str:
    changed = f", changed: {listed(d.changed)}" if isinstance(d, accounts.AccountUpdated) and d.changed else ""
    return f"account {d.account_id} ({spoken(d.debtor_kind)}, {d.country}) as the ERP knows it{changed}"


def _contact(d: accounts.ContactUpdated, _: Numbers) -> str:
    return f"contact {d.contact_id} of account {d.account_id}, {'valid' if d.valid else 'no longer valid'}"


def _command(d: control.CommandAccepted, _: Numbers) -> str:
    return f"command {d.route} taken by {spoken(d.service)}"


SENTENCES: dict[type, Sentence] = {
    invoices.Document: _document, invoices.InvoiceCancelled: _cancelled, invoices.InvoiceRebilled: _rebilled,
    payments.BankCredit: _credit, payments.PaymentReturned: _returned, payments.QuarantineState: _quarantined,
    payments.StatementReceived: _statement,
    ledger.ItemState: _item, ledger.PaymentApplied: _applied, ledger.PaymentIdentified: _identified,
    ledger.PaymentUnidentified: _unidentified, ledger.PaymentUnapplied: _unapplied,
    ledger.PaymentSuggested: _suggested, ledger.CashChanged: _cash, ledger.CashCandidate: _candidate,
    ledger.CashCandidateCleared: lambda d, _: f"that cash is no longer a question for account {d.account_id}",
    ledger.SuggestionWithdrawn: lambda d, _: f"suggestion {d.rank} for account {d.account_id} withdrawn",
    ledger.DeductionRaised: _deduction,
    ledger.RefundRequested: lambda d, _: f"refund of {money(d.amount_minor, d.currency)} asked for",
    ledger.RefundPaid: lambda d, _: f"refund of {money(d.amount_minor, d.currency)} paid on {day(d.paid_on)}",
    ledger.WriteOffPosted: lambda d, n: f"{money(d.amount_minor, d.currency)} of {number_of(d.item_id, n)} written off",
    collections.NoticeRequested: _notice_requested, collections.PromiseState: _promise,
    collections.DisputeState: _dispute, collections.HoldState: _hold, collections.EscalationRaised: _escalation,
    collections.ActivityLogged: _activity,
    notifications.NoticeSending: _sending, notifications.NoticeSent: _sent, notifications.NoticeWithheld: _withheld,
    notifications.NoticeFailed: _failed, notifications.NoticeUnknown: _unknown, notifications.EffectState: _effect,
    accounts.AccountState: _account, accounts.ContactUpdated: _contact, control.CommandAccepted: _command,
}  # fmt: skip
