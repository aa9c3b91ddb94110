"""The API of notifications: what left, what was withheld and why, deliveries of holds, and asking for one notice again.

Invariant: nothing here sends; a retry is a new request that passes the gate like any other.
"""

from datetime import date
from email import message_from_bytes, policy
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import RowMapping

from services.notifications import queries
from services.notifications.channels.errands import moment_of
from services.notifications.domain.commands import RetryNotice
from services.notifications.schemas import (
    Backlog,
    ContentView,
    EffectStatus,
    EffectView,
    GateView,
    NoticeDetail,
    NoticeStatus,
    NoticeView,
    RetryBody,
    RetryReply,
    Withheld,
    WithheldCount,
)
from shared.auth import Principal, require
from shared.blob import BlobMissing
from shared.http import IdempotencyKey, Page, Paging, Problem, page_of, paging
from shared.permissions import NOTIFICATIONS_READ, NOTIFICATIONS_RESEND, RUNTIME_READ
from shared.runtime.commands import run_command
from shared.runtime.lifecycle import Runtime, get_runtime

router = APIRouter(prefix="/v1/companies/{company}", tags=["notifications"])
TEXT_CHARS_MAX = 100_000

Reader = Annotated[Principal, Depends(require(NOTIFICATIONS_READ))]
Process = Annotated[Runtime, Depends(get_runtime)]
Company = Annotated[str, Path(min_length=1, max_length=40, examples=["vdr-eu"])]
Account = Annotated[str | None, Query(max_length=60)]
Asked = Annotated[Paging, Depends(paging)]


@router.get("/notices")
async def list_notices(
    runtime: Process,
    _reader: Reader,
    company: Company,
    page: Asked,
    status: NoticeStatus | None = None,
    account_id: Account = None,
) -> Page[NoticeView]:
    """Notices, newest first, with the reasons for which they were withheld or wait."""
    scope = f"notices/{company}/{status}/{account_id}"
    async with runtime.engine.connect() as db:
        rows = await queries.notices(
            db, company, status=status, account_id=account_id, after=page.after(scope), limit=page.fetch
        )
    shown, following = page_of(rows, page, scope, lambda row: (row["decided_on"], row["notice_id"]))
    return Page(items=[NoticeView.model_validate(dict(row)) for row in shown], next=following)


@router.get("/notices/{notice_id}")
async def show_notice(runtime: Process, _reader: Reader, company: Company, notice_id: UUID) -> NoticeDetail:
    """One notice: what was asked, what the gate knew, what left."""
    async with runtime.engine.connect() as db:
        row = await queries.notice_by_id(db, company, notice_id)
        records = await queries.judgements(db, company, notice_id)
    if row is None:
        raise _unknown(company, notice_id)
    return NoticeDetail.model_validate(
        {
            **row,
            "asked": row["request"]["items"],
            "judgements": [GateView.model_validate(dict(record)) for record in records],
            "content": await _content(runtime, row),
        }
    )


@router.get("/notices/{notice_id}/content", response_class=Response)
async def show_content(runtime: Process, _reader: Reader, company: Company, notice_id: UUID) -> Response:
    """The exact bytes that were handed to the mail server (message/rfc822)."""
    async with runtime.engine.connect() as db:
        row = await queries.notice_by_id(db, company, notice_id)
    if row is None:
        raise _unknown(company, notice_id)
    content = await _bytes(runtime, row)
    if content is None:
        raise Problem(
            404, "notice_has_no_content", f"notice {notice_id} is {row['status']}; nothing was written",
            f"GET /v1/companies/{company}/notices/{notice_id} says why",
        )  # fmt: skip
    headers = {
        "Content-Disposition": f'attachment; filename="notice-{notice_id}.eml"',
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type="message/rfc822", headers=headers)


@router.post("/notices/{notice_id}/retry", status_code=202)
async def retry_notice(
    runtime: Process,
    caller: Annotated[Principal, Depends(require(NOTIFICATIONS_RESEND))],
    key: IdempotencyKey,
    company: Company,
    notice_id: UUID,
    body: RetryBody,
) -> RetryReply:
    """Ask for a notice again whose outcome is unknown or that failed. It becomes a new notice."""
    async with runtime.engine.connect() as db:
        row = await queries.notice_by_id(db, company, notice_id)
    if row is None:
        raise _unknown(company, notice_id)
    command = RetryNotice(company=company, notice_id=notice_id, account_id=row["account_id"], reason=body.reason)
    route = f"POST /v1/companies/{company}/notices/{notice_id}/retry"
    reply = await run_command(runtime, caller, route, key, "retry_notice", command, company, row["account_id"])
    return RetryReply.model_validate(reply)


@router.get("/effects")
async def list_effects(
    runtime: Process,
    _reader: Reader,
    company: Company,
    page: Asked,
    status: EffectStatus | None = None,
    account_id: Account = None,
) -> Page[EffectView]:
    """Deliveries of holds to the access system, by hold and version."""
    scope = f"effects/{company}/{status}/{account_id}"
    async with runtime.engine.connect() as db:
        rows = await queries.effects(
            db, company, status=status, account_id=account_id, after=page.after(scope), limit=page.fetch
        )
    shown, following = page_of(rows, page, scope, lambda row: (row["hold_id"], row["version"]))
    return Page(items=[EffectView.model_validate(dict(row)) for row in shown], next=following)


@router.get("/withheld")
async def count_withheld(
    runtime: Process, _reader: Reader, company: Company, from_on: date | None = None, to_on: date | None = None
) -> Withheld:
    """What was withheld and why, by the day on which it was decided."""
    async with runtime.engine.connect() as db:
        total, rows = await queries.withheld(db, company, from_on, to_on)
    return Withheld(notices=total, by_reason=[WithheldCount.model_validate(dict(row)) for row in rows])


@router.get("/backlog")
async def show_backlog(
    runtime: Process, _reader: Annotated[Principal, Depends(require(RUNTIME_READ))], company: Company
) -> Backlog:
    """What is still to be put to the gate at the last complete tick. A feeder with a stream clock waits for zero."""
    moment = await moment_of(runtime)
    pending = 0
    if moment.now is not None:
        async with runtime.engine.connect() as db:
            pending = await queries.pending(db, company, moment.now, moment.number)
    return Backlog(tick_number=moment.number, tick_at=moment.now, pending=pending)


async def _bytes(runtime: Runtime, row: RowMapping) -> bytes | None:
    if not row["content"]:
        return None
    try:
        return await runtime.blobs.get(row["content"]["sha256"])
    except BlobMissing:
        return None


async def _content(runtime: Runtime, row: RowMapping) -> ContentView | None:
    content = await _bytes(runtime, row)
    if content is None:
        return None
    message: Any = message_from_bytes(content, policy=policy.default)
    text = message.get_body(("plain",))
    return ContentView(
        recipient=str(message["To"]),
        subject=str(message["Subject"]),
        message_id=str(message["Message-ID"]),
        text=text.get_content()[:TEXT_CHARS_MAX] if text else "",
    )


def _unknown(company: str, notice_id: UUID) -> Problem:
    return Problem(
        404, "notice_unknown", f"there is no notice {notice_id} in company {company!r}",
        f"use an id of GET /v1/companies/{company}/notices",
    )  # fmt: skip
