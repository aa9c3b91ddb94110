"""Files and records at the door, and their receipts."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel

from services.ingest import inspecting, intake, queries, receipts, schemas, upload
from services.ingest.domain.known import Context
from services.ingest.formats.records import FormatError
from services.ingest.intake import Incoming
from services.ingest.upload import Stored
from shared.auth import Principal, require
from shared.events.control import CompanyConfigured
from shared.http import IdempotencyKey, Page, Paging, page_of, paging
from shared.ids import parse, show
from shared.permissions import INGEST_READ, INGEST_SUBMIT
from shared.problems import Problem
from shared.runtime.lifecycle import Runtime, get_runtime

router = APIRouter(prefix="/v1/companies/{company}", tags=["submissions"])

Running = Annotated[Runtime, Depends(get_runtime)]
Feeder = Annotated[Principal, Depends(require(INGEST_SUBMIT))]
Reader = Annotated[Principal, Depends(require(INGEST_READ))]
Company = Annotated[str, Path(max_length=40, description="the creditor whose books it is about", examples=["vdr-eu"])]
Wait = Annotated[bool, Query(description="answer when the facts are written, not when the file is accepted")]
OptionalKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200, description="optional for files")]
FileName = Annotated[str | None, Query(max_length=200, description="name for the receipt")]
FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/xml": {"schema": {"type": "string", "format": "binary"}},
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {
                "schema": {"$ref": "#/components/schemas/RecordsIn"},
                "example": schemas.RecordsIn.model_config["json_schema_extra"]["examples"][0],
            },
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            },
        },
    }
}


@router.post("/submissions", status_code=202, response_model=schemas.Receipt, openapi_extra=FILE_BODY)
async def submit(
    request: Request,
    response: Response,
    runtime: Running,
    principal: Feeder,
    company: Company,
    wait: Wait = False,
    file_name: FileName = None,
    key: OptionalKey = None,
) -> schemas.Receipt:
    """Send one file: camt.053, ERP CSV or JSON, told by its content. Raw body, or a form with a part named `file`.

    The same content again answers with the first receipt. A file that cannot be read is refused whole (422) with line
    or path; single records that cannot be taken are held back and the rest goes on.
    """
    stored = await upload.store_request(runtime, request, file_name)
    return await _submitted(runtime, principal, company, stored, key or "", response, wait=wait)


async def _submitted(
    runtime: Runtime, principal: Principal, company: str, stored: Stored, key: str, response: Response, *, wait: bool
) -> schemas.Receipt:
    incoming = Incoming(
        company=company,
        actor=principal.actor,
        key=key,
        sha256=stored.sha256,
        size=stored.size,
        content_type=stored.content_type,
        file_name=stored.file_name,
        may_write=principal.may_write,
    )
    taken = await intake.submit(runtime, incoming)
    if wait:
        await intake.write_company(runtime, company)
    receipt = await receipts.receipt(runtime, company, taken.submission_id, known=taken.known)
    if receipt.state == "rejected":
        raise rejected(receipt)
    response.status_code = 200 if receipt.state == "done" else 202
    return receipt


def rejected(receipt: schemas.Receipt) -> Problem:
    """The problem for a file that was refused whole."""
    status = 403 if receipt.code == "record_type_forbidden" else 422
    place = f"{receipt.place}: " if receipt.place else ""
    facts = {"submission_id": receipt.submission_id, "place": receipt.place}
    return Problem(
        status, receipt.code, f"{place}{receipt.reason}", "mend the file and send it again; nothing was taken", **facts
    )


@router.post("/records", status_code=202, response_model=schemas.Receipt)
async def submit_records(
    body: schemas.RecordsIn,
    response: Response,
    runtime: Running,
    principal: Feeder,
    company: Company,
    key: IdempotencyKey,
    wait: Wait = False,
) -> schemas.Receipt:
    """Send records as JSON: customers, contacts, links, documents, payments. The fields are those of the CSV feed."""
    stored = await upload.store_bytes(runtime, orjson.dumps({"records": body.records}), "application/json", "records")
    return await _submitted(runtime, principal, company, stored, key, response, wait=wait)


@router.post("/payments", status_code=202, response_model=schemas.Receipt)
async def submit_payments(
    body: schemas.PaymentsIn,
    response: Response,
    runtime: Running,
    principal: Feeder,
    company: Company,
    key: IdempotencyKey,
    wait: Wait = False,
) -> schemas.Receipt:
    """Send payments as JSON. They post where the bank account's booking source is `json`, else they are announced."""
    records = [{**payment, "record_type": "payment"} for payment in body.payments]
    stored = await upload.store_bytes(runtime, orjson.dumps({"records": records}), "application/json", "payments")
    return await _submitted(runtime, principal, company, stored, key, response, wait=wait)


@router.post("/inspect", response_model=schemas.Inspection, openapi_extra=FILE_BODY)
async def inspect(request: Request, runtime: Running, principal: Feeder, company: Company) -> schemas.Inspection:
    """Dry run: read a file and say what it would bring. Nothing is taken."""
    body = await queries.company(runtime.engine, company)
    if body is None:
        raise Problem(
            404, "company_unknown", f"company {company!r} is not configured", f"PUT /v1/companies/{company} first"
        )
    stored = await upload.store_request(runtime, request, None)
    config = CompanyConfigured.model_validate(body)
    context = Context(UUID(int=0), company, config, runtime.clock.now().date())
    try:
        return await asyncio.to_thread(inspecting.inspect, runtime.blobs.path(stored.sha256), context)
    except FormatError as error:
        raise Problem(422, error.code, str(error), "mend the file and send it again") from None


@router.get("/submissions", response_model=Page[schemas.Receipt])
async def list_submissions(
    runtime: Running, principal: Reader, company: Company, asked: Annotated[Paging, Depends(paging)]
) -> Page[schemas.Receipt]:
    """Receipts of a company, newest first, without their problems."""
    scope = f"submissions:{company}"
    after = asked.after(scope)
    rows = await queries.submissions(runtime.engine, company, after[0] if after else None, asked.fetch)
    shown, cursor = page_of(rows, asked, scope, lambda row: (row["number"],))
    return Page(items=[receipts.receipt_of(row, []) for row in shown], next=cursor)


@router.get("/submissions/{submission_id}", response_model=schemas.Receipt)
async def read_submission(submission_id: str, runtime: Running, principal: Reader, company: Company) -> schemas.Receipt:
    """One receipt."""
    return await receipts.receipt(runtime, company, parsed_id(submission_id))


class OutcomeOut(BaseModel):
    """What became of one record; `subject` is the document, payment or account that it is about."""

    position: int
    kind: str
    place: str
    outcome: str
    subject: str
    code: str
    field: str
    reason: str
    record_id: str | None = None


@router.get("/submissions/{submission_id}/records", response_model=Page[OutcomeOut])
async def list_outcomes(
    submission_id: str,
    runtime: Running,
    principal: Reader,
    company: Company,
    asked: Annotated[Paging, Depends(paging)],
    outcome: Annotated[str | None, Query(pattern="^(written|known|quarantined|held|ignored)$")] = None,
) -> Page[OutcomeOut]:
    """Outcome per record of a submission."""
    identity = parsed_id(submission_id)
    await receipts.receipt(runtime, company, identity)
    scope = f"outcomes:{identity}:{outcome}"
    after = asked.after(scope)
    only = (outcome,) if outcome else ()
    rows = await queries.outcomes(runtime.engine, identity, after[0] if after else None, asked.fetch, only)
    shown, cursor = page_of(rows, asked, scope, lambda row: (row["position"],))
    return Page(items=[_outcome(row) for row in shown], next=cursor)


def _outcome(row: Any) -> OutcomeOut:
    return OutcomeOut(**{**row, "record_id": show("record", row["record_id"]) if row["record_id"] else None})


def parsed_id(text: str) -> UUID:
    """UUID of a shown id. Raises Problem 404."""
    try:
        return parse(text)
    except ValueError:
        raise Problem(
            404, "id_not_valid", f"{text[:60]!r} is not an id of ours", "use an id as the list or the answer showed it"
        ) from None
