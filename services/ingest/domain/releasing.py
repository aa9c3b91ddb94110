"""Releases by a person: a held-back record is tried again or discarded, a held statement is booked or refused.

Invariant: a statement is booked once, beside what is booked at its release; its kept lines then go the way of every
other line, in chunks. A refusal keeps them and can be taken back.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from services.ingest.domain import quarantine, statements
from services.ingest.domain.commands import ReleaseStatement
from services.ingest.domain.known import Context, Known, KnownStatement, Quarantined, Said, StatementRow, Written
from services.ingest.domain.statements import Chain
from services.ingest.domain.taking_bank import BankTaking, received_fact, restates_one
from shared.errors import Rejected
from shared.events.control import BankAccount
from shared.events.facts import Source
from shared.events.payments import RecordReleased, StatementGapNoticed, StatementReleased
from shared.ids import derive, show

TRIED_AGAIN = "tried_again"
HELD_CODES = frozenset({"overlap", "unbalanced", "balances_missing", "amount_not_valid", "gap", "not_booking_source"})
"""Codes of statements that were read and whose lines can be booked as they are."""


def release_id(command: UUID) -> UUID:
    """Id of the internal submission by which kept records go on."""
    return derive("submission", "release", command)


def to_retry(entry: Quarantined | None, company: str, record_id: UUID) -> Quarantined:
    """The entry if it can be tried again or given up. Raises Rejected."""
    if entry is None:
        raise Rejected(
            "record_unknown",
            f"company {company!r} has no held-back record {show('record', record_id)}",
            404,
            what_to_do=f"use an id of GET /v1/companies/{company}/quarantine",
        )
    if entry.state != "open":
        raise Rejected("record_not_open", f"the record is {entry.state}; only an open one can be released or discarded")
    if entry.kind == "statement":
        what_to_do = f"POST /v1/companies/{company}/statements/<id>/release"
        raise Rejected("record_is_statement", "the record is a bank statement", what_to_do=what_to_do)
    return entry


def discarded_said(company: str, entry: Quarantined, actor: str, reason: str) -> Said:
    return quarantine.released_said(company, entry, f"discarded by {actor}: {reason}")


@dataclass(frozen=True, slots=True)
class HeldStatement:
    """A statement that waits, with what is booked around it now. `equal_lines`: some of its lines may be booked."""

    row: StatementRow
    known: Known
    equal_lines: bool = False


@dataclass(slots=True)
class StatementRelease:
    """`restaged`: the kept lines go on in an internal submission; `head_again`: so does the head."""

    statement_id: str
    state: str
    restaged: bool
    head_again: bool
    bank_from_on: date
    context: Context
    written: Written = field(default_factory=Written)


def release(held: HeldStatement | None, body: ReleaseStatement, context: Context) -> StatementRelease:
    """What a release does. Raises Rejected when the statement does not wait or the command leaves a choice open."""
    if held is None:
        raise Rejected(
            "statement_unknown",
            f"company {context.company!r} has no statement {body.statement_id!r}",
            404,
            what_to_do=f"use an id of GET /v1/companies/{context.company}/statements",
        )
    known = held.row.known
    made = StatementRelease(body.statement_id, "refused", False, False, known.statement.from_on, context)
    taking = BankTaking(context, held.known, made.written)
    if known.state == "booked" and held.row.gap and body.outcome == "booked":
        return _accept_gap(held, made, taking)
    if not _waits(known, body):
        raise Rejected(
            "statement_not_held",
            f"the statement is {known.state}; a held one can be booked or refused, a refused one booked",
        )
    if body.outcome == "refused":
        return _refuse(held, made, body)
    if not _was_read(known):
        return _again(held, made)
    return _book(held, made, taking, body)


def _waits(known: KnownStatement, body: ReleaseStatement) -> bool:
    """Whether the lines of the statement are kept, so that it can be released; refusing is not for ever."""
    if known.state == "refused":
        return body.outcome == "booked" and known.code != TRIED_AGAIN
    return known.state in ("held", "unattributed")


def _was_read(known: KnownStatement) -> bool:
    """Whether its head could be read; one that was refused before codes were kept has none."""
    return known.code in HELD_CODES or (not known.code and bool(known.bank_account))


def _account(context: Context, known: KnownStatement) -> BankAccount:
    found = next((a for a in context.config.bank_accounts if a.id == known.bank_account), None)
    if found is None:
        raise Rejected("bank_account_unknown", f"bank account {known.bank_account!r} is no longer configured")
    return found


def _accept_gap(held: HeldStatement, made: StatementRelease, taking: BankTaking) -> StatementRelease:
    """The missing statements will not come: the chain begins again at this one."""
    known = held.row.known
    account = _account(made.context, known)
    head = known.statement
    identity = head.statement_id
    start = Chain(head.to_on, head.closing_minor, head.number)
    held.known.statements[identity] = replace(known, statement=replace(head, chained=True))
    taking.written.chained.add(identity)
    taking.extend(account, start)
    made.written.statements[identity] = replace(held.row, gap=False, known=held.known.statements[identity])
    _say_outcome(held, made, "booked")
    made.state = "booked"
    return made


def _refuse(held: HeldStatement, made: StatementRelease, body: ReleaseStatement) -> StatementRelease:
    known = replace(held.row.known, state="refused", reason=body.reason)
    made.written.statements[body.statement_id] = replace(held.row, known=known)
    _say_outcome(held, made, "refused")
    return made


def _again(held: HeldStatement, made: StatementRelease) -> StatementRelease:
    """Its bank account may be configured now: head and lines are decided as if they came today."""
    known = replace(held.row.known, state="refused", code=TRIED_AGAIN, reason="tried again")
    made.written.statements[known.statement.statement_id] = replace(held.row, known=known)
    made.state, made.restaged, made.head_again = "retrying", True, True
    made.bank_from_on = made.context.business_date - timedelta(days=1)
    _say_outcome(held, made, "booked")
    return made


def _book(held: HeldStatement, made: StatementRelease, taking: BankTaking, body: ReleaseStatement) -> StatementRelease:
    """Book a statement beside what is booked now: since it was held, other statements of its days may have come."""
    before, account = held.row.known, _account(made.context, held.row.known)
    relation = _relation(held, taking, account, body)
    head = replace(before.statement, mode=relation.mode, segment=relation.segment)
    found = taking.gap(account, head)
    now = replace(
        before,
        statement=head,
        state="booked",
        submission_id=made.context.submission_id,
        covers=relation.covers,
        reason=f"released: {body.reason}",
        times=_times(before),
    )
    held.known.statements[head.statement_id] = now
    made.written.statements[head.statement_id] = replace(held.row, known=now, gap=found is not None)
    reach = taking.extend(account)
    _say_outcome(held, made, "booked")
    if not restates_one(head):
        _say(made, received_fact(made.context, account, head, reach, Source(statement_id=head.statement_id)))
    if found:
        _say_gap(made, account, found)
    made.state, made.restaged = "booked", True
    return made


def _relation(
    held: HeldStatement, taking: BankTaking, account: BankAccount, body: ReleaseStatement
) -> statements.Relation:
    """How its lines count: as number or balances prove, else as the person says. Raises Rejected for an open choice."""
    identity = held.row.known.statement.statement_id
    head = replace(held.row.known.statement, segment=identity, mode="add")
    proven = taking.relation(account, head, equal_lines=held.equal_lines)
    if proven.mode == "maximum" and body.overlap == "add":
        reason = "its number or balances prove that it states booked lines again; say maximum, or refuse it"
        raise Rejected("overlap_contradicted", reason, 422)
    if body.overlap is None or proven.mode == "maximum":
        if proven.mode == "held":
            what = "say whether the lines add to those booked or repeat them: overlap add or maximum"
            raise Rejected("overlap_needed", what, 422)
        return proven
    others = [
        other.statement
        for other in held.known.statements.values()
        if other.state == "booked" and other.bank_account == account.id
    ]
    covers = tuple(sorted({other.segment for other in statements.overlapping(head, others)}))
    if body.overlap == "maximum" and covers:
        return statements.Relation("maximum", identity, covers)
    return statements.Relation("add", identity)


def _times(known: KnownStatement) -> int:
    """How often it was held, a refusal that is taken back counted as one more."""
    return max(known.times, 1) + (known.state == "refused")


def _say_gap(made: StatementRelease, account: BankAccount, found: tuple[str, str]) -> None:
    expected, seen = found
    fact = StatementGapNoticed(
        company=made.context.company,
        statement_id=made.statement_id,
        bank_account=account.id,
        expected=expected,
        found=seen,
    )
    _say(made, fact)


def _say_outcome(held: HeldStatement, made: StatementRelease, outcome: str) -> None:
    known, company = held.row.known, made.context.company
    identity, times = known.statement.statement_id, _times(known)
    if known.state == "booked" or _was_read(known):
        fact: Any = StatementReleased(
            company=company, statement_id=identity, bank_account=known.bank_account, outcome=outcome, times=times
        )
    else:
        fact = RecordReleased(company=company, record_id=UUID(identity), kind="statement", reason=outcome, times=times)
    _say(made, fact)


def _say(made: StatementRelease, fact: Any) -> None:
    """Each command says its own facts: a statement may be refused and booked later, or booked and its gap accepted."""
    identity = derive("event", fact.TYPE, made.statement_id, made.context.submission_id)
    own_key = made.statement_id if fact.TYPE.startswith("record.") else ""
    made.written.said.append(Said(fact, made.statement_id, identity, own_key=own_key))


__all__ = [
    "HeldStatement",
    "Known",
    "StatementRelease",
    "discarded_said",
    "release",
    "release_id",
    "to_retry",
]
