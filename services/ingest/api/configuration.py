"""Companies, rates and policies: what goes onto `ar.control`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.ingest import queries, schemas
from services.ingest.api.submissions import Company, Reader, Running, parsed_id
from services.ingest.domain import policies
from services.ingest.domain.commands import ApprovePolicy, ConfigureCompany, ProposePolicy, PublishRates
from services.ingest.domain.fields import Refused
from shared.auth import Principal, require
from shared.events.control import CompanyConfigured, RatePublished
from shared.http import FieldProblem, IdempotencyKey, Page, Paging, page_of, paging
from shared.permissions import INGEST_APPROVE_POLICY, INGEST_CONFIGURE
from shared.problems import Problem
from shared.runtime.commands import run_command

router = APIRouter(prefix="/v1/companies/{company}", tags=["configuration"])

Configurer = Annotated[Principal, Depends(require(INGEST_CONFIGURE))]
Approver = Annotated[Principal, Depends(require(INGEST_APPROVE_POLICY))]


@router.put("", response_model=schemas.CompanyOut)
async def configure_company(
    company: Company, body: schemas.CompanyIn, runtime: Running, principal: Configurer, key: IdempotencyKey
) -> schemas.CompanyOut:
    """Configure a creditor: currency, zone, calendars, bank accounts. Until then its facts are refused."""
    command = ConfigureCompany(company=CompanyConfigured(company=company, **body.model_dump()))
    route = f"PUT /v1/companies/{company}"
    await run_command(runtime, principal, route, key, "configure_company", command, company, new_company=True)
    return await read_company(company, runtime, principal)


@router.get("", response_model=schemas.CompanyOut)
async def read_company(company: Company, runtime: Running, principal: Reader) -> schemas.CompanyOut:
    """The configuration in force and how far the bank data of each account reach."""
    body = await queries.company(runtime.engine, company)
    if body is None:
        raise Problem(
            404, "company_unknown", f"company {company!r} is not configured", f"PUT /v1/companies/{company} first"
        )
    reaches = await queries.reaches(runtime.engine, company)
    known = {account["id"]: reaches.get(account["id"]) for account in body["bank_accounts"]}
    return schemas.CompanyOut(**body, complete_through_on=known)


@router.post("/rates", response_model=schemas.RatesPublished)
async def publish_rates(
    body: schemas.RatesIn, runtime: Running, principal: Configurer, company: Company, key: IdempotencyKey
) -> dict[str, Any]:
    """Publish exchange rates for a company."""
    command = PublishRates(rates=[RatePublished(company=company, **rate.model_dump()) for rate in body.rates])
    return await run_command(
        runtime, principal, f"POST /v1/companies/{company}/rates", key, "publish_rates", command, company
    )


@router.post("/policies", status_code=201, response_model=schemas.PolicyProposed)
async def propose_policy(
    body: schemas.PolicyIn, runtime: Running, principal: Configurer, company: Company, key: IdempotencyKey
) -> dict[str, Any]:
    """Propose a policy file. It counts when a second person has approved it; the answer shows the hash to approve."""
    try:
        content = policies.content_of(body.content) if isinstance(body.content, str) else policies.plain(body.content)
    except Refused as refused:
        fields = [FieldProblem(field="content", reason=refused.reason, what_to_do="mend the file and send it again")]
        raise Problem(422, refused.code, refused.reason, "mend the file and send it again", errors=fields) from None
    command = ProposePolicy(
        name=body.name,
        version=body.version,
        effective_on=body.effective_on,
        content=content,
        sha256=policies.sha256_of(content),
    )
    return await run_command(
        runtime, principal, f"POST /v1/companies/{company}/policies", key, "propose_policy", command, company
    )


@router.post("/policies/{draft_id}/approve", response_model=schemas.PolicyActive)
async def approve_policy(
    draft_id: str,
    body: schemas.PolicyApproval,
    runtime: Running,
    principal: Approver,
    company: Company,
    key: IdempotencyKey,
) -> dict[str, Any]:
    """Approve a proposed policy: another person than its proposer, for the very content with this hash."""
    identity = parsed_id(draft_id)
    command = ApprovePolicy(
        draft_id=identity,
        sha256=body.sha256,
        kind=principal.kind,
        companies=sorted(principal.companies),
        on_behalf_of=principal.on_behalf_of,
    )
    route = f"POST /v1/companies/{company}/policies/{identity}/approve"
    return await run_command(runtime, principal, route, key, "approve_policy", command, company)


@router.get("/policies", response_model=Page[schemas.PolicyOut])
async def list_policies(
    runtime: Running, principal: Reader, company: Company, asked: Annotated[Paging, Depends(paging)]
) -> Page[schemas.PolicyOut]:
    """Proposed and activated policies, newest first."""
    scope = f"policies:{company}"
    rows = await queries.policies(runtime.engine, company, asked.after(scope), asked.fetch)
    shown, cursor = page_of(rows, asked, scope, lambda row: (row["proposed_at"], row["draft_id"]))
    return Page(items=[_policy(row) for row in shown], next=cursor)


def _policy(row: Any) -> schemas.PolicyOut:
    names = ("name", "version", "sha256", "effective_on", "proposed_by", "decided_by", "content")
    state = "activated" if row["outcome"] == "approved" else "proposed"
    return schemas.PolicyOut(draft_id=str(row["draft_id"]), state=state, **{name: row[name] for name in names})
