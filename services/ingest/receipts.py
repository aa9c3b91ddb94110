"""Receipts as the API and the drop folder show them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.ingest import queries
from services.ingest.schemas import Receipt, RecordProblem
from shared.errors import Rejected
from shared.ids import show

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime


def receipt_of(row: Any, problems: Sequence[Any], *, known: bool = False) -> Receipt:
    names = (
        "company", "state", "format", "file_name", "sha256", "bytes", "records", "counts", "received_at",
        "business_date", "actor", "code", "place", "reason",
    )  # fmt: skip
    return Receipt(
        submission_id=show("submission", row["submission_id"]),
        known=known,
        problems=[problem_of(problem) for problem in problems],
        **{name: row[name] for name in names},
    )


def problem_of(row: Any) -> RecordProblem:
    record_id = show("record", row["record_id"]) if row["record_id"] else None
    names = ("position", "kind", "place", "outcome", "code", "field", "reason")
    of_statement = row["kind"] in ("statement", "bank_line") and row["outcome"] in ("held", "ignored")
    statement_id = row["subject"] or None if of_statement else None
    return RecordProblem(record_id=record_id, statement_id=statement_id, **{name: row[name] for name in names})


async def receipt(runtime: "Runtime", company: str, submission_id: UUID, *, known: bool = False) -> Receipt:
    """The receipt of a submission of the company. Raises Rejected 404."""
    row = await queries.submission(runtime.engine, company, submission_id)
    if row is None:
        raise Rejected(
            "submission_unknown",
            f"company {company!r} has no submission {show('submission', submission_id)}",
            404,
            what_to_do=f"use an id of GET /v1/companies/{company}/submissions",
        )
    return receipt_of(row, await queries.problems(runtime.engine, submission_id), known=known)
