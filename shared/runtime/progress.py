"""What every service answers about its own progress: clock, closed days, policies. For feeders and operators."""

from collections.abc import Collection
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from shared.auth import Principal, require
from shared.paging import Page, Paging, page_of, paging
from shared.runtime import statements as sql
from shared.runtime.parked import router as parked_router
from shared.runtime.policies import ReadPolicy, read_all
from shared.runtime.stepping import router as stepping_router

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

router = APIRouter(prefix="/v1/runtime", tags=["runtime"])
router.include_router(parked_router)
router.include_router(stepping_router)


class Progress(BaseModel):
    """`number` and `tick_at`: last tick complete here. `written_on`: per company the last day whose work is done and
    whose marker was written; `outbox_rows`: events not yet acknowledged by the bus; `policies_refused`: activated
    policies that this service cannot read, listed under /v1/runtime/policies."""

    tick_at: datetime | None
    number: int
    closed_on: dict[str, date]
    written_on: dict[str, date]
    outbox_rows: int
    parked_keys: int
    policies_refused: int


class PolicyReading(BaseModel):
    """`problem` is empty where this service can read the policy, else it names the field and what is wrong."""

    company: str
    name: str
    version: str
    sha256: str
    effective_on: date
    problem: str

    @classmethod
    def of(cls, read: ReadPolicy) -> Self:
        policy = read.policy
        return cls(
            company=policy.company,
            name=policy.name,
            version=policy.version,
            sha256=policy.sha256,
            effective_on=policy.effective_on,
            problem=read.problem,
        )


def _runtime(request: Request) -> "Runtime":
    return request.app.state.runtime


@router.get("/progress")
async def progress(request: Request, principal: Annotated[Principal, Depends(require("runtime.read"))]) -> Progress:
    """How far this service has come."""
    companies = principal.companies
    async with _runtime(request).pool.acquire() as db:
        moment = await db.fetchrow(sql.MOMENT)
        written = await db.fetch(sql.LAST_WRITTEN)
        outbox = await db.fetchrow(sql.OUTBOX_AGE)
        parked = await db.fetchval(sql.COUNT_PARKED_OF, sorted(companies))
        policies = await _policies(_runtime(request), db, companies)
    return Progress(
        tick_at=moment["at"],
        number=moment["number"] or 0,
        closed_on={c: d for c, d in (moment["closed"] or {}).items() if c in companies},
        written_on={row["company"]: row["closed_on"] for row in written if row["company"] in companies},
        outbox_rows=outbox["rows"],
        parked_keys=parked,
        policies_refused=sum(bool(read.problem) for read in policies),
    )


async def _policies(runtime: "Runtime", db: Any, companies: Collection[str]) -> list[ReadPolicy]:
    moment = await runtime.unit.control.moment(db)
    return read_all(runtime.handler, [policy for policy in moment.policies if policy.company in companies])


@router.get("/policies")
async def policies(
    request: Request,
    principal: Annotated[Principal, Depends(require("runtime.read"))],
    asked: Annotated[Paging, Depends(paging)],
) -> Page[PolicyReading]:
    """Activated policies that this service reads, newest activation first. One with a `problem` does not count here:
    the one before it goes on; mend the file and have it approved under a new version."""
    scope = f"policies:{sorted(principal.companies)}"
    (before,) = asked.after(scope) or (None,)
    async with _runtime(request).pool.acquire() as db:
        found = await _policies(_runtime(request), db, principal.companies)
    newest = [read for read in reversed(found) if before is None or read.policy.activation < before]
    shown, following = page_of(newest[: asked.fetch], asked, scope, lambda read: (read.policy.activation,))
    return Page(items=[PolicyReading.of(read) for read in shown], next=following)
