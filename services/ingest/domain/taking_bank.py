"""Deciding statements and their lines: which account, booked or held, which lines are new, how far the chain reaches.

Invariant: a line is published once, in whatever files it comes; the lines of a held statement are kept, not published.
"""

from dataclasses import replace
from datetime import date
from typing import NamedTuple
from uuid import UUID

from services.ingest.domain import bank_lines, statements
from services.ingest.domain.fields import Body, Refused, text
from services.ingest.domain.known import (
    Context,
    Decision,
    Known,
    KnownLine,
    KnownStatement,
    LineRow,
    Said,
    StagedRecord,
    StatementRow,
    Written,
)
from services.ingest.domain.statements import Chain, Statement
from shared.events.codec import encode
from shared.events.control import BankAccount
from shared.events.facts import Source
from shared.events.payments import HeldCredit, RecordQuarantined, StatementGapNoticed, StatementHeld, StatementReceived
from shared.ids import derive

STATEMENT_FORMAT = "camt.053"
HELD_CREDITS_MAX = 1_000
HELD_CREDITS_BYTES_MAX = 600_000
HELD, REFUSED = "statement_held", "statement_refused"
"""Codes of a line that is not booked because of its statement."""


class Hold(NamedTuple):
    """Why a statement is held: a stable code and a sentence."""

    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


def account_of(context: Context, body: Body) -> BankAccount | None:
    """The configured bank account of a statement, by IBAN or account number, and currency where both name one."""
    printed = {_plain(text(body, "iban")), _plain(text(body, "other"))} - {""}
    found = [a for a in context.config.bank_accounts if _plain(a.iban) in printed or a.id in printed]
    code = text(body, "currency")
    same = [a for a in found if a.currency == code]
    return next(iter(same or ([] if code and found else found)), None)


def _masked(body: Body) -> str:
    printed = text(body, "iban") or text(body, "other")
    return f"bank account {printed[:4]}…{printed[-4:]} in {text(body, 'currency') or 'an unnamed currency'}"


def _plain(number: str) -> str:
    return "".join(number.split()).upper()


def key_of(account: BankAccount, record: StagedRecord) -> str:
    """Key under which a line is known: the bank's reference where the profile trusts it, else its content."""
    if account.identity_rule == "entry_reference":
        return bank_lines.reference_key(record.body) or record.line_key
    return record.line_key


class BankTaking:
    """The part of a chunk that is bank data."""

    def __init__(self, context: Context, known: Known, written: Written) -> None:
        self.context, self.known, self.written = context, known, written
        self._covering: dict[str, frozenset[str]] = {}

    def statement(self, record: StagedRecord) -> Decision:
        """Decide a head. Its lines follow behind it, in this chunk or later ones."""
        account = account_of(self.context, record.body)
        if account is None:
            hold = Hold("bank_account_unknown", f"{_masked(record.body)} is not configured")
            return self._unattributed(record, None, hold)
        try:
            head = statements.read(self.context.company, account.id, account.currency, record.body)
        except Refused as refused:
            return self._unattributed(record, account, Hold(refused.code, str(refused)))
        self.known.groups[record.group] = head.statement_id
        before = self.known.statements.get(head.statement_id)
        if before is not None:
            if before.state != "refused" or before.submission_id == self.context.submission_id:
                return _came_before(before)
            self.written.anew.add(head.statement_id)
        if account.booking_source != STATEMENT_FORMAT:
            return self._keep(record, account, head, Hold("not_booking_source", "another source books this account"))
        relation = self.relation(account, head, equal_lines=record.group in self.known.equal_lines)
        head = replace(head, mode=relation.mode, segment=relation.segment)
        hold = Hold(relation.code, relation.reason) if relation.mode == "held" else self._unbookable(account, head)
        if hold is not None:
            return self._keep(record, account, head, hold)
        return self._book(record, account, head, relation.covers)

    def relation(self, account: BankAccount, head: Statement, *, equal_lines: bool) -> statements.Relation:
        """How the statement counts beside what is booked now; where lines have their own reference, nothing is open."""
        booked = [known.statement for known in self._booked(account)]
        relation = statements.relate(head, booked, equal_lines=equal_lines)
        if relation.mode == "held" and account.identity_rule == "entry_reference":
            return statements.Relation("add", head.segment)
        return relation

    def _booked(self, account: BankAccount) -> list[KnownStatement]:
        found = self.known.statements.values()
        return [known for known in found if known.state == "booked" and known.bank_account == account.id]

    def _unbookable(self, account: BankAccount, head: Statement) -> Hold | None:
        if head.flaw:
            return Hold("amount_not_valid", head.flaw)
        if not head.balanced and account.unbalanced == "hold":
            if head.opening_minor is None or head.closing_minor is None:
                return Hold("balances_missing", "opening or closing balance is missing or in another currency")
            difference = head.opening_minor + head.credits_minor - head.debits_minor - head.closing_minor
            reason = f"opening and entries differ from the closing balance by {difference} minor units"
            return Hold("unbalanced", reason)
        if account.gaps == "hold" and (found := self.gap(account, head)):
            return Hold("gap", f"expected {found[0]}, found {found[1]}")
        return None

    def gap(self, account: BankAccount, head: Statement) -> tuple[str, str] | None:
        """What was expected and found, where the statement leaves a gap behind the chain of its account."""
        return statements.gap(self._chain(account), head, account.currency) if head.mode == "add" else None

    def _chain(self, account: BankAccount) -> Chain:
        return self.known.chains.get(account.id, Chain())

    def _book(self, record: StagedRecord, account: BankAccount, head: Statement, covers: tuple[str, ...]) -> Decision:
        found = self.gap(account, head)
        self._write(record.body, account, head, "booked", covers=covers, gap=found is not None)
        through_on = self.extend(account)
        if not restates_one(head):
            self._say(head.statement_id, self._received(account, head, through_on))
        if found:
            self._say(
                head.statement_id,
                StatementGapNoticed(
                    company=self.context.company,
                    statement_id=head.statement_id,
                    bank_account=account.id,
                    expected=found[0],
                    found=found[1],
                ),
            )
        return Decision("written", head.statement_id)

    def extend(self, account: BankAccount, chain: Chain | None = None) -> date | None:
        """Take booked statements onto the chain; returns how far bank data now reach."""
        waiting = [known.statement for known in self._booked(account) if not known.statement.chained]
        chain, taken = statements.extend(chain or self._chain(account), waiting)
        for identity in taken:
            known = self.known.statements[identity]
            self.known.statements[identity] = replace(known, statement=replace(known.statement, chained=True))
        self.written.chained |= set(taken)
        self.known.chains[account.id] = self.written.chains[account.id] = chain
        reach = statements.complete_through_on(chain, account.calendar)
        self.written.reaches[account.id] = reach
        return reach

    def _unattributed(self, record: StagedRecord, account: BankAccount | None, hold: Hold) -> Decision:
        """A statement of no configured account, or of which too little can be read: kept until it is tried again.

        What can be read of it is told: account, days and currency.
        """
        company, body = self.context.company, record.body
        identity = derive("unattributed", company, self.context.submission_id, record.group)
        self.known.groups[record.group] = str(identity)
        if str(identity) not in self.known.statements:
            named, code = account.id if account else "", text(body, "currency")
            from_on, to_on = self._span(body)
            head = Statement(str(identity), "", from_on, to_on, None, None, segment=str(identity), mode="held")
            known = KnownStatement(head, "unattributed", named, self.context.submission_id, (), *hold, 1)
            self.known.statements[head.statement_id] = known
            row = StatementRow(known, text(body, "id"), code, False, dict(body))
            self.written.statements[head.statement_id] = row
            hints = [named, text(body, "id")[:200], f"{from_on} to {to_on}"]
            fact = RecordQuarantined(
                company=company,
                record_id=identity,
                kind="statement",
                currency=code or None,
                hints=[hint for hint in hints if hint],
                reason=str(hold),
            )
            self._say(head.statement_id, fact)
        return Decision("held", str(identity), *hold)

    def _span(self, body: Body) -> tuple[date, date]:
        """Days of a statement, the open day at the door where none can be read."""
        try:
            return statements.span(body)
        except Refused:
            return self.context.business_date, self.context.business_date

    def _keep(self, record: StagedRecord, account: BankAccount, head: Statement, hold: Hold) -> Decision:
        known = self._write(record.body, account, replace(head, mode="held"), "held", hold)
        self._say(head.statement_id, self._held(account, known, hold), known.times)
        return Decision("held", head.statement_id, *hold)

    def _held(self, account: BankAccount, known: KnownStatement, hold: Hold) -> StatementHeld:
        head = known.statement
        return StatementHeld(
            company=self.context.company,
            statement_id=head.statement_id,
            bank_account=account.id,
            currency=account.currency,
            from_on=head.from_on,
            to_on=head.to_on,
            opening_minor=head.opening_minor or 0,
            closing_minor=head.closing_minor or 0,
            reason=str(hold),
            times=known.times,
            credits=_bounded(self.known.held_credits.get(head.statement_id, [])),
            source=self._source(head.statement_id, 0),
        )

    def _received(self, account: BankAccount, head: Statement, through_on: date | None) -> StatementReceived:
        return received_fact(self.context, account, head, through_on, self._source(head.statement_id, 0))

    def _write(
        self,
        body: Body,
        account: BankAccount,
        head: Statement,
        state: str,
        hold: Hold | None = None,
        covers: tuple[str, ...] = (),
        *,
        gap: bool = False,
    ) -> KnownStatement:
        before = self.known.statements.get(head.statement_id)
        times = (before.times if before else 0) + (hold is not None)
        why = hold or ("", "")
        known = KnownStatement(head, state, account.id, self.context.submission_id, covers, *why, times)
        self.known.statements[head.statement_id] = known
        self.written.statements[head.statement_id] = StatementRow(
            known, text(body, "id"), account.currency, gap, dict(body)
        )
        return known

    def line(self, record: StagedRecord) -> Decision:
        """Decide a line by the state of its statement."""
        identity = record.statement_id or self.known.groups.get(record.group, "")
        statement = self.known.statements.get(identity)
        if statement is None:
            raise Refused("statement_missing", "statement", "the line belongs to no statement that is known")
        if statement.state != "booked":
            if statement.submission_id == self.context.submission_id:
                self.written.held_lines.append((identity, record))
            return _kept(statement)
        account = next(a for a in self.context.config.bank_accounts if a.id == statement.bank_account)
        return self._booked_line(record, statement, account)

    def _booked_line(self, record: StagedRecord, known: KnownStatement, account: BankAccount) -> Decision:
        key = key_of(account, record)
        trusted = key != record.line_key
        there = self.known.lines.setdefault((account.id, key), [])
        pending = record.body.get("status") == bank_lines.PENDING
        if trusted:
            place = 0 if there else None
        else:
            place = _stated(there, known, self.covering(known), record.nth)
        occurrence = there[place].occurrence if place is not None else 0
        identity = bank_lines.line_id(self.context.company, account.id, key, occurrence or _next(there))
        source = self._source(known.statement.statement_id, record.position)
        day_of = known.statement.to_on
        fact = bank_lines.fact_of(self.context.company, account, identity, record.body, source, day_of)
        if fact is None:
            return Decision("ignored", "", "nothing_to_book", "the line is for information only, or of zero")
        if pending:
            return self._announce(record, account, key, fact, identity)
        signed = bank_lines.signed_minor(fact)
        if occurrence:
            if trusted and there[0].signed_minor != signed:
                raise Refused("conflict", "entry_reference", "the reference was taken before with another amount")
            if not trusted:
                self._adopt(there, place, known, identity)
            return Decision("known", str(identity))
        row = LineRow(
            identity, True, account.id, key, _next(there), known.statement.segment, fact.document_on, signed, fact.TYPE
        )
        there.append(KnownLine(row.segment, row.occurrence, signed))
        self.written.lines.append(row)
        self._say(str(identity), fact)
        return Decision("written", str(identity))

    def covering(self, known: KnownStatement) -> frozenset[str]:
        """Segments of booked statements that state this one again and may be written before its lines.

        Constant while lines are decided: every head of a submission comes before its lines.
        """
        identity = known.statement.statement_id
        if identity not in self._covering:
            own = {identity, known.statement.segment}
            found = (s for s in self.known.statements.values() if s.state == "booked" and own & set(s.covers))
            self._covering[identity] = frozenset(s.statement.segment for s in found) - _covers(known)
        return self._covering[identity]

    def _adopt(self, there: list[KnownLine], place: int, known: KnownStatement, identity: UUID) -> None:
        """A line of a longer statement is found to be this one's: so it counts for no third statement as well."""
        if there[place].segment not in _covers(known):
            there[place] = replace(there[place], segment=known.statement.segment)
            self.written.adopted[identity] = known.statement.segment

    def _announce(
        self, record: StagedRecord, account: BankAccount, key: str, fact: bank_lines.LineFact, identity: UUID
    ) -> Decision:
        """A pending credit: candidate cash, once per identity."""
        identity = bank_lines.line_id(self.context.company, account.id, key, max(record.nth, 1))
        if identity in self.known.announced:
            return Decision("known", str(identity))
        fact = fact.model_copy(update={"payment_id": identity})
        self.known.announced.add(identity)
        self.written.lines.append(
            LineRow(
                identity, False, account.id, key, max(record.nth, 1), "", fact.document_on, fact.amount_minor, fact.TYPE
            )
        )
        self._say(str(identity), fact)
        return Decision("written", str(identity))

    def _source(self, statement_id: str, line: int) -> Source:
        return Source(
            file=self.context.file_name, submission_id=self.context.submission_id, statement_id=statement_id, line=line
        )

    def _say(self, subject: str, fact: object, *more: object) -> None:
        self.written.said.append(Said(fact, subject, derive("event", fact.TYPE, subject, *more)))


def restates_one(head: Statement) -> bool:
    """Whether the statement is another issue of a booked one, whose head was published."""
    return head.mode == "maximum" and head.segment != head.statement_id


def _came_before(known: KnownStatement) -> Decision:
    """A head that is known: booked, or still where it was, with the reason for it."""
    identity = known.statement.statement_id
    if known.state == "booked":
        return Decision("known", identity)
    outcome = "ignored" if known.state == "refused" else "held"
    return Decision(outcome, identity, known.code, f"it came before and is {known.state}: {known.reason}")


def _kept(known: KnownStatement) -> Decision:
    """A line of a statement that is not booked."""
    identity = known.statement.statement_id
    if known.state == "refused":
        return Decision("ignored", identity, REFUSED, "left out, because its statement was refused")
    return Decision("held", identity, HELD, "held with its statement")


def _covers(known: KnownStatement) -> set[str]:
    """Segments whose lines the statement states again, and its own."""
    return {*known.covers, known.statement.segment, known.statement.statement_id}


def _stated(there: list[KnownLine], known: KnownStatement, covering: frozenset[str], nth: int) -> int | None:
    """Place in `there` of the line that the nth equal line of a statement is; None for a new one.

    It is the nth of those the statement covers. Behind them any line of a statement that covers it is the same money,
    published first. So the lines that are booked do not depend on which of two statements is written first.
    """
    places = sorted(range(len(there)), key=lambda place: there[place].occurrence)
    covered = [place for place in places if there[place].segment in _covers(known)]
    if 0 < nth <= len(covered):
        return covered[nth - 1]
    return next((place for place in places if nth > 0 and there[place].segment in covering), None)


def _next(there: list[KnownLine]) -> int:
    return max((line.occurrence for line in there), default=0) + 1


def held_credit(account_currency: str, body: Body) -> HeldCredit | None:
    """What the gate is told of a credit in a held statement; None for debits and unreadable amounts."""
    if body.get("direction") != "CRDT" or body.get("currency") != account_currency:
        return None
    try:
        amount_minor = bank_lines.minor(body.get("amount"), account_currency, "amount")
    except Refused:
        return None
    party, references = body.get("debtor") or {}, body.get("references") or {}
    named = [str(references.get(name, "")) for name in ("creditor_reference", "end_to_end")]
    named += [str(line.get("document", "")) for line in body.get("remittance") or []]
    named += [str(line) for line in body.get("text") or []]
    return HeldCredit(
        amount_minor=amount_minor,
        payer_hint=str(party.get("name", "")),
        payer_account=str(party.get("account", "")),
        references=[reference[:140] for reference in named if reference][:20],
    )


def _bounded(credits: list[HeldCredit]) -> list[HeldCredit]:
    """The credits as far as one event holds them: each amount stays, long hints are cut alike for all."""
    kept = credits[:HELD_CREDITS_MAX]
    if sum(len(encode(credit)) for credit in kept) <= HELD_CREDITS_BYTES_MAX:
        return kept
    return [
        credit.model_copy(
            update={
                "payer_hint": credit.payer_hint[:40],
                "payer_account": credit.payer_account[:40],
                "references": [reference[:40] for reference in credit.references[:1]],
            }
        )
        for credit in kept
    ]


def received_fact(
    context: Context, account: BankAccount, head: Statement, through_on: date | None, source: Source
) -> StatementReceived:
    """The fact of a booked statement; missing balances of a released one count as zero."""
    return StatementReceived(
        company=context.company,
        statement_id=head.statement_id,
        bank_account=account.id,
        currency=account.currency,
        from_on=head.from_on,
        to_on=head.to_on,
        opening_minor=head.opening_minor or 0,
        closing_minor=head.closing_minor or 0,
        lines=head.lines,
        credits_minor=head.credits_minor,
        debits_minor=head.debits_minor,
        balanced=head.balanced,
        complete_through_on=through_on,
        source=source,
    )
