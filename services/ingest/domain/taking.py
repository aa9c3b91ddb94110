"""Deciding a chunk of staged records in order: each becomes a fact, is known already, or is held back with its reason.

Invariant: whatever a record holds, the records behind it are decided; nothing here raises but for a bug.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.ingest.domain import accounts, documents, quarantine
from services.ingest.domain.fields import Refused, text
from services.ingest.domain.known import (
    Context,
    Decision,
    Known,
    KnownDocument,
    OutcomeRow,
    Quarantined,
    QuarantineRow,
    Said,
    StagedRecord,
    Written,
)
from services.ingest.domain.taking_bank import BankTaking
from services.ingest.domain.taking_payments import take_payment, take_reach
from shared.events.facts import Fact, Source
from shared.ids import derive

CONFLICT = "conflict"
RECORD_BYTES_MAX = 700_000
UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, ArithmeticError)
"""What a record of a wrong shape makes of the code that reads it; it is held back alone."""
OPEN_STATES = ("open", "retrying")
MASTER_DATA = ("customer", "contact", "link")


def subject_of(company: str, record: StagedRecord) -> str:
    """What a record is about, empty when it cannot be told."""
    try:
        if record.kind in MASTER_DATA:
            return quarantine.subject_of(company, record.kind, record.body)
        if record.kind in documents.FAMILY or record.kind == "cancellation":
            return f"document/{documents.identity(company, record.kind, record.body)}"
    except Refused:
        return ""
    return ""


def needs(company: str, record: StagedRecord) -> tuple[set[str], set[UUID]]:
    """Accounts and documents whose state decides over a record, as far as its fields can be read."""
    account_ids, document_ids = set(), set()
    for name in ("account_id", "from_account_id", "to_account_id"):
        value = record.body.get(name)
        if isinstance(value, str | int) and value != "":
            account_ids.add(str(value).strip())
    if record.kind in documents.FAMILY or record.kind == "cancellation":
        for identity in (_identity, _replaced):
            if (found := identity(company, record)) is not None:
                document_ids.add(found)
    return account_ids, document_ids


def _identity(company: str, record: StagedRecord) -> UUID | None:
    try:
        return documents.identity(company, record.kind, record.body)
    except Refused:
        return None


def _replaced(company: str, record: StagedRecord) -> UUID | None:
    try:
        return documents.replaced_identity(company, record.body) if record.kind == "rebill" else None
    except Refused:
        return None


class Taking:
    """One chunk in the hand. `written` is complete when every record was taken."""

    def __init__(self, context: Context, known: Known) -> None:
        self.context, self.known, self.written = context, known, Written()
        self.bank = BankTaking(context, known, self.written)

    def take_all(self, records: Sequence[StagedRecord]) -> Written:
        for record in records:
            said, outcomes = len(self.written.said), len(self.written.outcomes)
            self._decide(record)
            if record.traceparent:
                self._trace(record.traceparent, said, outcomes)
        return self.written

    def _decide(self, record: StagedRecord) -> None:
        try:
            decision = self._take(record)
        except Refused as refused:
            self._hold_back(record, refused)
        except UNREADABLE as problem:
            reason = f"the record is not of the shape that its type has ({type(problem).__name__}: {problem})"
            self._hold_back(record, Refused("not_digestible", "record", reason[:500]))
        else:
            self._note(record, decision)

    def _trace(self, traceparent: str, said: int, outcomes: int) -> None:
        """What was said and noted from there on belongs to the trace of the record's own message."""
        written = self.written
        written.said[said:] = [replace(each, traceparent=traceparent) for each in written.said[said:]]
        written.outcomes[outcomes:] = [replace(row, traceparent=traceparent) for row in written.outcomes[outcomes:]]

    def say(self, fact: Fact, subject: object, *identity: object) -> None:
        self.written.said.append(Said(fact, str(subject), derive("event", fact.TYPE, *identity)))

    def _take(self, record: StagedRecord) -> Decision:
        if record.size > RECORD_BYTES_MAX:
            raise Refused("too_large", "record", f"the record has {record.size} bytes, the bound is {RECORD_BYTES_MAX}")
        company = text(record.body, "company")
        if company and company != self.context.company:
            raise Refused("foreign_company", "company", f"the record is of {company!r}, the submission is not")
        match record.kind:
            case "customer":
                return self._customer(record)
            case "contact" | "link":
                return self._part(record)
            case "invoice" | "debit_memo" | "credit_memo" | "rebill":
                return self._document(record)
            case "cancellation":
                return self._cancellation(record)
            case "payment":
                return take_payment(self, record)
            case "bank_reach":
                return take_reach(self, record)
            case "statement":
                return self.bank.statement(record)
            case "bank_line":
                return self.bank.line(record)
        raise Refused("record_type_unknown", "record_type", "the record has no type that is known here")

    def _customer(self, record: StagedRecord) -> Decision:
        company, account_id = self.context.company, accounts.account_key(record.body, "account_id")
        version, before = self.known.accounts.get(account_id, (0, None))
        event = accounts.account_event(company, record.body, before)
        if event is None:
            return Decision("known", account_id)
        self.known.accounts[account_id] = (version + 1, accounts.state_of(event))
        self.written.accounts[account_id] = self.known.accounts[account_id]
        self.say(event, account_id, company, account_id, version + 1)
        if before is None:
            self._arrived(f"account/{account_id}")
        return Decision("written", account_id)

    def _part(self, record: StagedRecord) -> Decision:
        company = self.context.company
        names = ("account_id",) if record.kind == "contact" else ("from_account_id", "to_account_id")
        for name in names:
            self._need_account(accounts.account_key(record.body, name), name)
        subject = quarantine.subject_of(company, record.kind, record.body)
        version, before = self.known.parts.get(subject, (0, None))
        make = accounts.contact_event if record.kind == "contact" else accounts.link_event
        event = make(company, record.body, before)
        if event is None:
            return Decision("known", subject)
        self.known.parts[subject] = self.written.parts[subject] = (version + 1, event.model_dump(mode="json"))
        self.say(event, event.account_id, company, subject, version + 1)
        return Decision("written", subject)

    def _document(self, record: StagedRecord) -> Decision:
        company = self.context.company
        fact = documents.issued(company, record.kind, record.body, self._source(record))
        self._need_account(fact.account_id, "account_id")
        material = documents.material_hash(fact)
        before = self.known.documents.get(fact.document_id)
        if before is not None and before.material == material:
            return Decision("known", str(fact.document_id))
        if before is not None:
            raise Refused(CONFLICT, "total", "the document was taken before with another amount, date or reference")
        rebilled = documents.rebilled(fact, record.body) if record.kind == "rebill" else None
        if rebilled is not None:
            self._need_document(rebilled.replaces_document_id, "replaces_document_id")
        self._remember(fact.document_id, KnownDocument(fact.account_id, fact.document_type, material), fact.number)
        self.say(fact, fact.document_id, fact.document_id)
        if rebilled is not None:
            self.say(rebilled, fact.document_id, fact.document_id)
        self._arrived(f"document/{fact.document_id}")
        return Decision("written", str(fact.document_id))

    def _cancellation(self, record: StagedRecord) -> Decision:
        company = self.context.company
        identity = documents.identity(company, record.kind, record.body)
        document = self._need_document(identity, "source_document_id")
        named = text(record.body, "account_id")
        if named and named != document.account_id:
            raise Refused("account_differs", "account_id", f"the document is of account {document.account_id}")
        if document.cancelled:
            return Decision("known", str(identity))
        fact = documents.cancelled(company, identity, document.account_id, record.body, self.context.business_date)
        gone = KnownDocument(document.account_id, document.family, document.material, cancelled=True)
        self._remember(identity, gone, fact.number)
        self.say(fact, identity, identity)
        return Decision("written", str(identity))

    def _remember(self, identity: UUID, document: KnownDocument, number: str) -> None:
        self.known.documents[identity] = document
        self.written.documents[identity] = (document, number)

    def _need_account(self, account_id: str, name: str) -> None:
        if account_id not in self.known.accounts:
            reason = f"account {account_id!r} is not known; the record is tried again when the customer arrives"
            raise Refused("account_unknown", name, reason, f"account/{account_id}")

    def _need_document(self, identity: UUID, name: str) -> KnownDocument:
        if (found := self.known.documents.get(identity)) is None:
            reason = "the document is not known; the record is tried again when it arrives"
            raise Refused("document_unknown", name, reason, f"document/{identity}")
        return found

    def _arrived(self, subject: str) -> None:
        if subject in self.known.awaited:
            self.written.retries.add(subject)
        waiting = [row for row in self.written.quarantined.values() if row.waits_for == subject]
        if waiting:
            self.written.retries.add(subject)

    def _source(self, record: StagedRecord) -> Source:
        line = record.place.removeprefix("line ")
        return Source(
            file=self.context.file_name,
            submission_id=self.context.submission_id,
            line=int(line) if line.isdecimal() else record.position,
        )

    def _note(self, record: StagedRecord, decision: Decision) -> None:
        outcome, subject, code, reason = decision
        self.written.outcomes.append(
            OutcomeRow(record.position, record.kind, record.place, outcome, subject, code, reason=reason[:1_000])
        )
        about = subject_of(self.context.company, record) if outcome in ("written", "known") else ""
        for entry in self._needless(record, about):
            self._close(entry, "released" if entry.record_id == record.record_id else "superseded")

    def _needless(self, record: StagedRecord, about: str) -> list[Quarantined]:
        """Held-back entries that this good record ends: itself, and earlier refused ones about the same thing."""
        own = self.known.quarantined.get(record.record_id) if record.record_id else None
        same = [e for e in self.known.waiting_for(about) if e.code != CONFLICT] if about else []
        held = [entry for entry in [*same, own] if entry is not None and entry.state in OPEN_STATES]
        return list({entry.record_id: entry for entry in held}.values())

    def _close(self, entry: Quarantined, state: str) -> None:
        self.known.quarantined[entry.record_id] = replace(entry, state=state)
        self.written.quarantined.pop(entry.record_id, None)
        self.written.closed[entry.record_id] = state
        self.written.said.append(quarantine.released_said(self.context.company, entry, state))

    def _hold_back(self, record: StagedRecord, refused: Refused) -> None:
        company, subject = self.context.company, subject_of(self.context.company, record)
        before = self.known.quarantined.get(quarantine.record_id_of(company, record))
        entry = quarantine.held_back(company, record, refused, subject, before)
        still = before is not None and before.state in OPEN_STATES
        if still:
            entry = replace(entry, times=before.times)
        self.known.quarantined[entry.record_id] = entry
        self.written.quarantined[entry.record_id] = QuarantineRow(entry, record, refused.field, refused.waits_for)
        if not still:
            self.written.said.append(quarantine.quarantined_said(company, entry, refused.field))
        self.written.outcomes.append(
            OutcomeRow(
                record.position,
                record.kind,
                record.place,
                "quarantined",
                subject,
                refused.code,
                refused.field,
                refused.reason[:1_000],
                entry.record_id,
            )  # fmt: skip
        )
