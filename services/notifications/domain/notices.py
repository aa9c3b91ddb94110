"""The life of a notice: requested, judged, sending, and how it ended. Each step gives the facts to publish.

Invariant: once a notice was `sending` and DATA may have begun it ends as sent, failed or unknown; it never leaves a
second time. Only a notice whose DATA surely did not begin goes back to `requested`.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.notifications.domain.commands import Delivered
from services.notifications.domain.deliveries import refused_again_s
from services.notifications.domain.gate import today
from services.notifications.domain.letter import Letter, message_id
from services.notifications.domain.model import Asked, Known, Outcome, Pass, Reached, Smaller, Wait, Withheld
from services.notifications.domain.policy import ContactPolicy
from services.notifications.domain.rows import GateRecord, NoticeRow
from shared.events.collections import NoticeItem, NoticeRequested
from shared.events.facts import DocumentRef, Fact
from shared.events.notifications import (
    ContactInvalidated,
    NoticeFailed,
    NoticeSending,
    NoticeSent,
    NoticeUnknown,
    NoticeWithheld,
    Reason,
)

RETRYABLE = ("unknown", "failed")


def new_notice(data: NoticeRequested, envelope: dict[str, Any], retry_of: UUID | None = None) -> NoticeRow:
    """Row of a request that has just been read."""
    return NoticeRow(
        company=data.company,
        notice_id=data.notice_id,
        account_id=data.account_id,
        contact_id=data.contact_id,
        level=data.level,
        kind=data.kind,
        channel=data.channel,
        decided_on=data.decided_on,
        not_before_at=data.not_before_at,
        expires_at=data.expires_at,
        request=data.model_dump(mode="json"),
        envelope=envelope,
        retry_of=retry_of,
    )


def asked_of(row: NoticeRow) -> Asked:
    """The request as the gate reads it."""
    return Asked(
        notice_id=row.notice_id,
        account_id=row.account_id,
        contact_id=row.contact_id,
        channel=row.channel,
        decided_on=row.decided_on,
        not_before_at=row.not_before_at,
        expires_at=row.expires_at,
        items=tuple(NoticeItem.model_validate(item) for item in row.request["items"]),
    )


def judged(row: NoticeRow, outcome: Outcome, reached: Reached, binding: bool, domain: str) -> list[Fact]:
    """Bring the outcome of the gate into the row. Facts: notice.withheld, or notice.sending if the judgement binds."""
    if isinstance(outcome, Withheld):
        row.status, row.lease_until_at, row.decided_at = "withheld", None, reached.now
        row.reasons = dump(outcome.reasons)
        items = [UUID(str(item["item_id"])) for item in row.request["items"]]
        return [NoticeWithheld(**_head(row), reasons=list(outcome.reasons), items=items)]
    if isinstance(outcome, Wait):
        row.judged_at_number, row.lease_until_at = reached.tick_number, None
        row.reasons = dump(outcome.reasons)
        return []
    if not binding:
        return []
    row.status, row.decided_at, row.message_id = "sending", reached.now, message_id(row.notice_id, domain)
    row.sent_on = today(reached)
    row.items, row.reasons = dump(outcome.items), dump(outcome.reasons)
    return [NoticeSending(**_head(row), message_id=row.message_id, decided_at=reached.now, items=list(outcome.items))]


def outcome_name(outcome: Outcome) -> str:
    """Word of the outcome for the gate record."""
    return {Pass: "pass", Smaller: "smaller", Wait: "wait", Withheld: "withheld"}[type(outcome)]


def letter_of(row: NoticeRow, outcome: Pass, known: Known, policy: ContactPolicy, reached: Reached) -> Letter:
    """What is to be written for a notice that passed."""
    contact = known.contacts[row.contact_id]
    language = row.request.get("language") or contact.language or (known.account.language if known.account else "en")
    return Letter(
        notice_id=row.notice_id,
        company=row.company,
        account_id=row.account_id,
        contact_id=row.contact_id,
        account_name=known.account.name if known.account else "",
        country=known.account.country if known.account else "",
        contact_name=contact.name,
        recipient=contact.email,
        sender=policy.sender,
        message_id=message_id(row.notice_id, policy.sender.domain),
        kind=row.kind,
        channel=row.channel,
        level=row.level,
        template=row.request.get("template", ""),
        language=language,
        written_at=reached.now,
        written_on=today(reached),
        items=outcome.items,
        credits_minor=outcome.credits_minor,
    )


def delivered(row: NoticeRow, told: Delivered, now: datetime) -> list[Fact]:
    """Bring what the mail server did into the row. `now` is business time; retries count on the wall clock."""
    row.lease_until_at, row.code = None, told.code
    match told.result:
        case "released":
            row.status = "requested"
            row.next_try_at = told.at + timedelta(seconds=told.again_s) if told.again_s else None
            row.sent_on, row.message_id = None, ""
            return []
        case "sent":
            row.status, row.sent_at, row.content = "sent", now, told.content
            content = DocumentRef.model_validate(told.content) if told.content else None
            items = [NoticeItem.model_validate(item) for item in row.items]
            policy = str(row.request.get("policy", ""))
            sent = NoticeSent(
                **_head(row), message_id=row.message_id, sent_at=now, content=content, items=items, policy=policy
            )
            return [sent]
        case "unknown":
            row.status, row.content = "unknown", told.content
            row.attempts += 1
            return [NoticeUnknown(**_head(row), message_id=row.message_id, code=told.code, attempts=row.attempts)]
        case _:
            return _refused(row, told)


def _refused(row: NoticeRow, told: Delivered) -> list[Fact]:
    row.attempts += 1
    again_s = None if told.permanent or told.after_data else refused_again_s(row.attempts)
    row.sent_on = None
    if again_s is not None:
        row.status, row.next_try_at = "requested", told.at + timedelta(seconds=again_s)
        return []
    row.status, row.content = "failed", told.content
    facts: list[Fact] = [NoticeFailed(**_head(row), code=told.code, permanent=told.permanent, attempts=row.attempts)]
    if told.address_is_bad:
        facts.append(
            ContactInvalidated(
                company=row.company,
                account_id=row.account_id,
                contact_id=row.contact_id,
                channel=row.channel,
                evidence=told.code,
            )
        )
    return facts


def retried(row: NoticeRow, new_id: UUID, now: datetime, valid_days: int) -> NoticeRequested:
    """The request for a notice to be sent once more by a person's word; it goes through the gate like any other."""
    request = NoticeRequested.model_validate(row.request)
    return request.model_copy(
        update={"notice_id": new_id, "not_before_at": now, "expires_at": now + timedelta(days=valid_days)}
    )


def record_of(
    row: NoticeRow, outcome: Outcome, reached: Reached, claim: int, judged_at: datetime, policy: str
) -> GateRecord:
    """What the gate knew, for the auditor."""
    items = outcome.items if isinstance(outcome, Pass) else asked_of(row).items
    return GateRecord(
        company=row.company,
        subject_id=row.notice_id,
        claim=claim,
        of="notice",
        account_id=row.account_id,
        outcome=outcome_name(outcome),
        decided_at=reached.now,
        judged_at=judged_at,
        tick_number=reached.tick_number,
        tick_at=reached.tick_at,
        banks=banks_of(reached),
        items=dump(items),
        reasons=dump(outcome.reasons),
        policy=policy,
    )


def banks_of(reached: Reached) -> list[dict[str, Any]]:
    return [
        {
            "bank_account": bank.bank_account,
            "calendar": bank.calendar,
            "complete_through_on": bank.complete_through_on.isoformat() if bank.complete_through_on else None,
        }
        for bank in reached.banks
    ]


def dump(parts: tuple[Reason, ...] | tuple[NoticeItem, ...]) -> list[dict[str, Any]]:
    return [part.model_dump(mode="json") for part in parts]


def _head(row: NoticeRow) -> dict[str, Any]:
    return {
        "company": row.company,
        "notice_id": row.notice_id,
        "account_id": row.account_id,
        "contact_id": row.contact_id,
        "level": row.level,
        "kind": row.kind,
        "channel": row.channel,
        "retry_of": row.retry_of,
    }
