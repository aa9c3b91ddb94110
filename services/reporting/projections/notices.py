"""Notices: what was asked (`ar.collections`) and what became of it (`ar.notifications`), in whatever order they come.

Invariant: an outcome stands against a `sending` that is read later; requests and outcomes never overwrite each other.
"""

from services.reporting.projections.rows import Rows
from shared.events.codec import Event
from shared.events.collections import NoticeRequested
from shared.events.notifications import NoticeSending, NoticeSent, NoticeState, NoticeWithheld

SENDING, OUTCOME = 1, 2


def requested(rows: Rows, event: Event) -> None:
    data: NoticeRequested = event.data
    names = (
        "company", "notice_id", "account_id", "contact_id", "kind", "channel", "level", "template", "policy",
        "decided_on", "expires_at",
    )  # fmt: skip
    row = {name: getattr(data, name) for name in names}
    row["items"] = [part.model_dump(mode="json") for part in data.items]
    row["totals"] = [part.model_dump(mode="json") for part in data.totals]
    rows.put("notice_request", (data.company, data.notice_id), row)


def outcome(rows: Rows, event: Event) -> None:
    data: NoticeState = event.data
    names = ("company", "notice_id", "account_id", "contact_id", "kind", "channel", "level")
    row = {name: getattr(data, name) for name in names}
    row |= {
        "status": data.TYPE.removeprefix("notice."),
        "rank": SENDING if isinstance(data, NoticeSending) else OUTCOME,
        "reasons": [r.model_dump(mode="json") for r in data.reasons] if isinstance(data, NoticeWithheld) else [],
        "code": getattr(data, "code", ""),
        "sent_at": data.sent_at if isinstance(data, NoticeSent) else None,
        "outcome_on": event.envelope.business_date,
    }
    key = (data.company, data.notice_id)
    standing = rows.tables.get("notice_outcome", {}).get(key)
    if standing is None or standing["rank"] <= row["rank"]:
        rows.put("notice_outcome", key, row)
