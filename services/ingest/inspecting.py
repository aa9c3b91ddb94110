"""The dry run: what a file would bring, by the checks that need no state. Nothing is stored."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from services.ingest.domain import accounts, documents, statements
from services.ingest.domain.fields import Refused, text
from services.ingest.domain.known import Context
from services.ingest.domain.taking_bank import account_of
from services.ingest.formats.detect import detect
from services.ingest.formats.records import RawRecord
from services.ingest.schemas import Inspection, RecordProblem
from shared.events.facts import Source

PROBLEMS_MAX = 100
RECORDS_MAX = 200_000
STATEMENTS_MAX = 100


def inspect(path: Path, context: Context) -> Inspection:
    """Reads the whole file, at most 200,000 records. Raises FormatError. Runs in a thread."""
    form = detect(path)
    kinds: Counter[str] = Counter()
    problems: list[RecordProblem] = []
    found: list[dict[str, Any]] = []
    for position, record in enumerate(islice(form.records(path), RECORDS_MAX), 1):
        kinds[record.kind] += 1
        try:
            head = _check(record, context)
        except Refused as refused:
            if len(problems) < PROBLEMS_MAX:
                problems.append(_problem(position, record, refused))
        else:
            found += [head] if head and len(found) < STATEMENTS_MAX else []
    return Inspection(
        format=form.name, records=sum(kinds.values()), kinds=dict(kinds), problems=problems, statements=found
    )


def _check(record: RawRecord, context: Context) -> dict[str, Any] | None:
    match record.kind:
        case "customer":
            accounts.account_event(context.company, record.body, None)
        case "contact":
            accounts.contact_event(context.company, record.body, None)
        case "link":
            accounts.link_event(context.company, record.body, None)
        case "invoice" | "debit_memo" | "credit_memo" | "rebill":
            documents.issued(context.company, record.kind, record.body, Source())
        case "cancellation":
            documents.identity(context.company, record.kind, record.body)
        case "statement":
            return _statement(record, context)
        case "unknown":
            raise Refused("record_type_unknown", "record_type", "the record has no type that is known here")
    return None


def _statement(record: RawRecord, context: Context) -> dict[str, Any]:
    account = account_of(context, record.body)
    if account is None:
        raise Refused("bank_account_unknown", "iban", "the statement's bank account is not configured")
    head = statements.read(context.company, account.id, account.currency, record.body)
    return {
        "bank_account": account.id,
        "number": text(record.body, "number"),
        "from_on": head.from_on.isoformat(),
        "to_on": head.to_on.isoformat(),
        "lines": head.lines,
        "balanced": head.balanced,
    }


def _problem(position: int, record: RawRecord, refused: Refused) -> RecordProblem:
    return RecordProblem(
        position=position, kind=record.kind, place=record.place, outcome="quarantined", code=refused.code,
        field=refused.field, reason=refused.reason,
    )  # fmt: skip
