"""The stream clock: a feeder moves time and closes days. In live mode the wall clock does, and these routes refuse."""

from typing import Annotated

from fastapi import APIRouter, Depends

from services.ingest import clockwork, schemas
from services.ingest.api.submissions import Running
from shared.auth import Principal, company_of, require
from shared.errors import Rejected
from shared.permissions import INGEST_CLOCK
from shared.runtime.lifecycle import Runtime

router = APIRouter(prefix="/v1", tags=["clock"])

ClockKeeper = Annotated[Principal, Depends(require(INGEST_CLOCK))]


def _only_in_stream_mode(runtime: Runtime) -> None:
    if runtime.settings.clock != "stream":
        raise Rejected("clock_is_live", "this service runs by the wall clock; start it with RECOUP_CLOCK=stream")


@router.post("/clock", response_model=schemas.MarkerWritten)
async def move_clock(body: schemas.Tick, runtime: Running, principal: ClockKeeper) -> schemas.MarkerWritten:
    """Write a tick behind everything that was accepted before. The same instant again changes nothing."""
    _only_in_stream_mode(runtime)
    return schemas.MarkerWritten(number=await clockwork.stream_tick(runtime, body.at))


@router.post("/days/close", response_model=schemas.MarkerWritten)
async def close_day(body: schemas.DayClose, runtime: Running, principal: ClockKeeper) -> schemas.MarkerWritten:
    """Close a company's business day behind everything that was accepted before. Closing it again changes nothing."""
    _only_in_stream_mode(runtime)
    company_of(principal, body.company)
    return schemas.MarkerWritten(number=await clockwork.stream_close(runtime, body.company, body.date))
