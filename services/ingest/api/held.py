"""What is held back: quarantined records and held statements, and their release by a person."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query

from services.ingest import intake, queries, schemas
from services.ingest.api.submissions import Company, Reader, Running, parsed_id
from services.ingest.domain.commands import DiscardRecord, ReleaseRecord, ReleaseStatement
from shared.auth import Principal, require
from shared.http import IdempotencyKey, Page, Paging, page_of, paging
from shared.ids import show
from shared.permissions import INGEST_RELEASE
from shared.problems import Problem
from shared.runtime.commands import run_command

router = APIRouter(prefix="/v1/companies/{company}", tags=["held back"])

Releaser = Annotated[Principal, Depends(require(INGEST_RELEASE))]
State = Annotated[str, Query(pattern="^(open|retrying|released|superseded|discarded)$")]
StatementState = Annotated[str | None, Query(pattern="^(booked|held|unattributed|refused)$")]


@router.get("/quarantine", response_model=Page[schemas.QuarantinedOut])
async def list_quarantined(
    runtime: Running,
    principal: Reader,
    company: Company,
    asked: Annotated[Paging, Depends(paging)],
    state: State = "open",
) -> Page[schemas.QuarantinedOut]:
    """Held-back records, oldest first, with field and reason."""
    scope = f"quarantine:{company}:{state}"
    after = asked.after(scope)
    rows = await queries.quarantined(runtime.engine, company, state, after[0] if after else None, asked.fetch)
    shown, cursor = page_of(rows, asked, scope, lambda row: (row["number"],))
    return Page(items=[_quarantined(row) for row in shown], next=cursor)


@router.get("/quarantine/{record_id}", response_model=schemas.QuarantinedOut)
async def read_quarantined(
    record_id: str, runtime: Running, principal: Reader, company: Company
) -> schemas.QuarantinedOut:
    """One held-back record, whatever its state."""
    row = await queries.quarantined_one(runtime.engine, company, parsed_id(record_id))
    if row is None:
        raise Problem(
            404, "record_unknown", f"company {company!r} has no held-back record {record_id}",
            f"use an id of GET /v1/companies/{company}/quarantine",
        )  # fmt: skip
    return _quarantined(row)


@router.post("/quarantine/{record_id}/release", response_model=schemas.QuarantinedOut)
async def release_record(
    record_id: str, runtime: Running, principal: Releaser, company: Company, key: IdempotencyKey
) -> schemas.QuarantinedOut:
    """Try a held-back record again; the answer says whether it is still held back, and why."""
    identity = parsed_id(record_id)
    body = ReleaseRecord(record_id=identity)
    route = f"POST /v1/companies/{company}/quarantine/{identity}/release"
    await run_command(runtime, principal, route, key, "release_record", body, company)
    await intake.write_company(runtime, company)
    return await read_quarantined(record_id, runtime, principal, company)


@router.post("/quarantine/{record_id}/discard", response_model=schemas.QuarantinedOut)
async def discard_record(
    record_id: str, body: schemas.Discard, runtime: Running, principal: Releaser, company: Company, key: IdempotencyKey
) -> schemas.QuarantinedOut:
    """Give a held-back record up, with a reason that is kept."""
    identity = parsed_id(record_id)
    command, route = (
        DiscardRecord(record_id=identity, reason=body.reason),
        f"POST /v1/companies/{company}/quarantine/{identity}/discard",
    )
    await run_command(runtime, principal, route, key, "discard_record", command, company)
    return await read_quarantined(record_id, runtime, principal, company)


def _quarantined(row: Any) -> schemas.QuarantinedOut:
    names = set(schemas.QuarantinedOut.model_fields) - {"record_id", "submission_id", "body"}
    return schemas.QuarantinedOut(
        record_id=show("record", row["record_id"]),
        submission_id=show("submission", row["submission_id"]),
        body=orjson.loads(row["body"]),
        **{name: row[name] for name in names},
    )


@router.get("/statements", response_model=Page[schemas.StatementOut])
async def list_statements(
    runtime: Running,
    principal: Reader,
    company: Company,
    asked: Annotated[Paging, Depends(paging)],
    state: StatementState = None,
) -> Page[schemas.StatementOut]:
    """Bank statements, newest first."""
    scope = f"statements:{company}:{state}"
    rows = await queries.statements(runtime.engine, company, state, asked.after(scope), asked.fetch)
    shown, cursor = page_of(rows, asked, scope, lambda row: (row["to_on"], row["statement_id"]))
    return Page(items=[schemas.StatementOut.model_validate(dict(row)) for row in shown], next=cursor)


@router.post("/statements/{statement_id}/release", response_model=schemas.StatementReleased)
async def release_statement(
    statement_id: str,
    body: schemas.StatementRelease,
    runtime: Running,
    principal: Releaser,
    company: Company,
    key: IdempotencyKey,
) -> dict[str, Any]:
    """Book or refuse a held statement, try one of an unknown account again, or accept a gap before a booked one."""
    command = ReleaseStatement(statement_id=statement_id, **body.model_dump())
    route = f"POST /v1/companies/{company}/statements/{statement_id}/release"
    reply = await run_command(runtime, principal, route, key, "release_statement", command, company)
    await intake.write_company(runtime, company)
    return reply
