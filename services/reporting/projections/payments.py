"""Bank lines, and where each payment stands: its whole split by version, and what each version moved between places.

Invariant: the deltas of a payment sum to its current split, place by place and account by account.
"""

from datetime import date
from uuid import UUID

from services.reporting.projections.rows import PART_PLACES, PLACES, Known, PaymentNow, Row, Rows
from shared.events.codec import Event
from shared.events.ledger import (
    CashCandidate,
    CashCandidateCleared,
    PaymentApplied,
    PaymentState,
    PaymentSuggested,
    PaymentUnapplied,
    SuggestionWithdrawn,
)
from shared.events.payments import (
    BankDebitReceived,
    PaymentReceived,
    PaymentReturned,
    QuarantineState,
    RecordReleased,
    StatementGapNoticed,
    StatementHeld,
    StatementReceived,
    StatementReleased,
)

TEXT_CHARS_MAX = 500
BOOKED_RANK = 1_000_000_000
"""Above every holding and release of a statement: what is booked stays so."""


def received(rows: Rows, event: Event) -> None:
    data: PaymentReceived = event.data
    names = ("company", "payment_id", "bank_account", "currency", "method", "amount_minor", "charges_minor")
    row = {name: getattr(data, name) for name in (*names, "document_on", "valued_on", "accounted_on")}
    row["payer_name"] = data.payer.name
    row["remittance_text"] = " ".join(data.remittance_text)[:TEXT_CHARS_MAX]
    row["statement_id"] = data.source.statement_id
    rows.put("receipt", (data.company, data.payment_id), row | _when(event))


def returned(rows: Rows, event: Event) -> None:
    """A return debits its amount; the bank's fee for it is a debit line of its own."""
    data: PaymentReturned = event.data
    _debit(rows, event, "return", data.return_id, data.amount_minor + data.fee_minor, data.reason_code, data.payment_id)


def debited(rows: Rows, event: Event) -> None:
    data: BankDebitReceived = event.data
    _debit(rows, event, data.kind, data.debit_id, data.amount_minor)


def _debit(
    rows: Rows, event: Event, kind: str, debit_id: UUID, amount: int, reason: str = "", payment_id: UUID | None = None
) -> None:
    data = event.data
    row = {name: getattr(data, name) for name in ("company", "bank_account", "currency", "valued_on", "accounted_on")}
    row |= {"debit_id": debit_id, "kind": kind, "amount_minor": amount, "reason_code": reason, "payment_id": payment_id}
    rows.put("bank_debit", (data.company, debit_id), row | _when(event))


def _when(event: Event) -> Row:
    return {"business_date": event.envelope.business_date, "known_at": event.envelope.known_at}


def state(rows: Rows, known: Known, event: Event) -> None:
    """Any payment.* of the ledger. Applications and their reversals are noted whatever the version."""
    data: PaymentState = event.data
    if isinstance(data, PaymentApplied):
        _applications(rows, event)
    elif isinstance(data, PaymentUnapplied):
        _reversal(rows, event)
    now = known.payments.setdefault((data.company, data.payment_id), PaymentNow())
    if data.payment_version <= now.version:
        return
    places = places_of(data)
    accounted_on = data.accounted_on or event.envelope.business_date
    for place, account_id in sorted({*places, *now.places}):
        delta = places.get((place, account_id), 0) - now.places.get((place, account_id), 0)
        if delta:
            _moved(rows, event, place, account_id, delta, accounted_on)
    _parts(rows, data, now)
    rows.put_version("payment", (data.company, data.payment_id), _payment(event, accounted_on))
    known.payments[data.company, data.payment_id] = PaymentNow(data.payment_version, places)


def places_of(data: PaymentState) -> dict[tuple[str, str], int]:
    """Minor units by (place, account) that are not zero."""
    found = {(place, ""): getattr(data, f"{place}_minor") for place in PLACES}
    for part in data.split:
        found |= {(place, part.account_id): getattr(part, f"{place}_minor") for place in PART_PLACES}
    return {key: minor for key, minor in found.items() if minor}


def _moved(rows: Rows, event: Event, place: str, account_id: str, delta: int, accounted_on: date) -> None:
    data: PaymentState = event.data
    row = {
        "company": data.company,
        "payment_id": data.payment_id,
        "version": data.payment_version,
        "place": place,
        "account_id": account_id,
        "currency": data.currency,
        "bank_account": data.bank_account,
        "delta_minor": delta,
        "accounted_on": accounted_on,
    }
    key = (data.company, data.payment_id, data.payment_version, place, account_id)
    rows.put("payment_posting", key, row | _when(event))


def _parts(rows: Rows, data: PaymentState, now: PaymentNow) -> None:
    """Shares of all accounts that have or had one; a share that is gone becomes zero."""
    gone = {account_id for _, account_id in now.places if account_id} - {part.account_id for part in data.split}
    shares = {part.account_id: part for part in data.split}
    for account_id in sorted({*gone, *shares}):
        share = shares.get(account_id)
        row = {
            "company": data.company,
            "payment_id": data.payment_id,
            "account_id": account_id,
            "currency": data.currency,
            "bank_account": data.bank_account,
        }
        row |= {f"{place}_minor": getattr(share, f"{place}_minor") if share else 0 for place in PART_PLACES}
        rows.put("payment_part", (data.company, data.payment_id, account_id), row)


def _payment(event: Event, accounted_on: date) -> Row:
    data: PaymentState = event.data
    names = ("company", "payment_id", "bank_account", "currency", "amount_minor", "valued_on")
    row = {name: getattr(data, name) for name in (*names, *(f"{place}_minor" for place in PLACES))}
    return row | {
        "version": data.payment_version,
        "account_id": getattr(data, "account_id", ""),
        "rule": getattr(data, "rule", ""),
        "automatic": getattr(data, "automatic", None),
        "reason_code": getattr(data, "reason_code", ""),
        "status": data.TYPE.removeprefix("payment."),
        "split": [part.model_dump() for part in data.split],
        "accounted_on": accounted_on,
    }


def _applications(rows: Rows, event: Event) -> None:
    data: PaymentApplied = event.data
    for part in data.applications:
        row = part.model_dump() | {
            "company": data.company,
            "posting_id": data.posting_id,
            "payment_id": data.payment_id,
            "account_id": data.account_id,
            "currency": data.currency,
            "rule": data.rule,
            "automatic": data.automatic,
            "valued_on": data.valued_on,
            "accounted_on": data.accounted_on,
            "business_date": event.envelope.business_date,
        }
        rows.put("application", (data.company, data.posting_id, part.item_id), row)


def _reversal(rows: Rows, event: Event) -> None:
    data: PaymentUnapplied = event.data
    row = {
        "company": data.company,
        "posting_id": data.reverses_posting_id,
        "by_posting_id": data.posting_id,
        "reason_code": data.reason_code,
        "business_date": event.envelope.business_date,
    }
    rows.put("application_reversal", (data.company, data.reverses_posting_id), row)


def suggested(rows: Rows, event: Event) -> None:
    data: PaymentSuggested = event.data
    names = ("company", "payment_id", "account_id", "rank", "currency", "amount_minor", "rule")
    row = {name: getattr(data, name) for name in names} | {"chance": data.lambda_value, "live": True}
    row["items"] = [part.model_dump(mode="json") for part in data.items]
    rows.put("suggestion", (data.company, data.payment_id, data.account_id, data.rank), row)


def withdrawn(rows: Rows, event: Event) -> None:
    data: SuggestionWithdrawn = event.data
    key = (data.company, data.payment_id, data.account_id, data.rank)
    row = dict(zip(("company", "payment_id", "account_id", "rank"), key, strict=True))
    empty = {"currency": "", "amount_minor": 0, "rule": "", "chance": "", "items": [], "live": False}
    rows.put("suggestion", key, empty | row)


def candidate(rows: Rows, event: Event) -> None:
    data: CashCandidate = event.data
    names = ("company", "candidate_id", "account_id", "payment_id", "currency", "amount_minor", "source", "evidence")
    row = {name: getattr(data, name) for name in names}
    row |= {"since_on": data.since_on or event.envelope.business_date, "live": True}
    rows.put("candidate", (data.company, data.candidate_id, data.account_id), row)


def cleared(rows: Rows, event: Event) -> None:
    data: CashCandidateCleared = event.data
    names = ("company", "candidate_id", "account_id", "payment_id")
    row = {name: getattr(data, name) for name in names}
    empty = {"currency": "", "amount_minor": 0, "source": "", "evidence": [], "since_on": None, "live": False}
    rows.put("candidate", (data.company, data.candidate_id, data.account_id), empty | row)


_STATEMENT = {
    "currency": "", "reason": "", "from_on": None, "to_on": None, "opening_minor": 0, "closing_minor": 0,
    "credits_minor": 0, "debits_minor": 0, "lines": 0, "balanced": True, "complete_through_on": None,
}  # fmt: skip


def statement(rows: Rows, event: Event) -> None:
    """Held, then refused, held again, …, booked: the higher rank stands, in whatever order they come."""
    data: StatementReceived | StatementHeld | StatementReleased = event.data
    given = {name: getattr(data, name) for name in _STATEMENT if hasattr(data, name)}
    match data:
        case StatementHeld():
            given |= {"state": "held", "rank": 2 * data.times - 1, "lines": len(data.credits)}
            given["credits_minor"] = sum(credit.amount_minor for credit in data.credits)
        case StatementReleased():
            given |= {"state": data.outcome, "rank": 2 * data.times}
        case StatementReceived():
            given |= {"state": "booked", "rank": BOOKED_RANK}
    head = {"company": data.company, "bank_account": data.bank_account, "statement_id": data.statement_id}
    rows.put_version("statement", tuple(head.values()), _STATEMENT | head | given, "rank")


def gap(rows: Rows, event: Event) -> None:
    data: StatementGapNoticed = event.data
    row = {name: getattr(data, name) for name in ("company", "bank_account", "statement_id", "expected", "found")}
    row["noticed_on"] = event.envelope.business_date
    rows.put("statement_gap", (data.company, data.bank_account, data.statement_id), row)


def quarantined(rows: Rows, event: Event) -> None:
    """The n-th refusal outranks the release of the one before it, and is outranked by its own release."""
    data: QuarantineState = event.data
    released = isinstance(data, RecordReleased)
    row = {
        "company": data.company,
        "record_id": data.record_id,
        "kind": data.kind,
        "account_id": data.account_id or "",
        "amount_minor": data.amount_minor,
        "currency": data.currency or "",
        "reason": data.reason,
        "released": released,
        "since_on": event.envelope.business_date,
        "rank": 2 * data.times - (not released),
    }
    rows.put_version("quarantine", (data.company, data.record_id), row, "rank")
