"""The stream clock: a feeder moves time and closes days. In live mode the wall clock does, and these routes refuse."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from services.ingest import clockwork, schemas
from services.ingest.api.submissions import Company, Running
from services.ingest.clockwork import Asked
from shared.auth import Principal, require
from shared.errors import Rejected
from shared.http import IdempotencyKey, body_hash
from shared.ids import command_id
from shared.permissions import INGEST_CLOCK
from shared.runtime.lifecycle import Runtime

router = APIRouter(prefix="/v1", tags=["clock"])

ClockKeeper = Annotated[Principal, Depends(require(INGEST_CLOCK))]


def _only_in_stream_mode(runtime: Runtime) -> None:
    if runtime.settings.clock != "stream":
        raise Rejected("clock_is_live", "this service runs by the wall clock; start it with RECOUP_CLOCK=stream")


def _asked(principal: Principal, route: str, key: str, body: BaseModel) -> Asked:
    return Asked(command_id(principal.actor, route, key), body_hash(body))


@router.post("/clock", response_model=schemas.MarkerWritten)
async def move_clock(
    body: schemas.Tick, runtime: Running, principal: ClockKeeper, key: IdempotencyKey
) -> schemas.MarkerWritten:
    """Write a tick behind everything that was accepted before, for all companies. The same instant changes nothing."""
    _only_in_stream_mode(runtime)
    asked = _asked(principal, "POST /v1/clock", key, body)
    return schemas.MarkerWritten(number=await clockwork.stream_tick(runtime, body.at, asked))


@router.post("/companies/{company}/days/close", response_model=schemas.MarkerWritten)
async def close_day(
    body: schemas.DayClose, runtime: Running, principal: ClockKeeper, company: Company, key: IdempotencyKey
) -> schemas.MarkerWritten:
    """Close a company's business day behind everything that was accepted before. Closing it again changes nothing."""
    _only_in_stream_mode(runtime)
    asked = _asked(principal, f"POST /v1/companies/{company}/days/close", key, body)
    return schemas.MarkerWritten(number=await clockwork.stream_close(runtime, company, body.date, asked))
