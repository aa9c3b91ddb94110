"""Promises, disputes, holds, activities and escalations: whole states, the higher version stands."""

from services.reporting.projections.rows import Rows
from shared.events.codec import Event
from shared.events.collections import ActivityLogged, DisputeState, EscalationRaised, HoldState, PromiseState
from shared.events.notifications import EffectConfirmed, EffectFailed


def promise(rows: Rows, event: Event) -> None:
    data: PromiseState = event.data
    names = (
        "company", "promise_id", "version", "account_id", "contact_id", "currency", "channel", "taken_by",
        "amount_minor", "taken_on", "due_on", "grace_days", "corrected",
    )  # fmt: skip
    row = {name: getattr(data, name) for name in names}
    row["status"] = "open" if data.TYPE == "promise.made" else data.TYPE.removeprefix("promise.")
    row["received_minor"] = sum(receipt.amount_minor for receipt in data.received)
    row["items"] = [str(item_id) for item_id in data.items]
    row["business_date"] = event.envelope.business_date
    rows.put_version("promise", (data.company, data.promise_id), row)


def dispute(rows: Rows, event: Event) -> None:
    data: DisputeState = event.data
    names = (
        "company", "dispute_id", "version", "account_id", "item_id", "status", "currency", "reason_code", "text",
        "owner", "outcome", "disputed_minor", "credited_minor", "opened_on", "due_on",
    )  # fmt: skip
    row = {name: getattr(data, name) for name in names}
    row["status"] = "resolved" if data.TYPE == "dispute.resolved" else data.status
    row["resolved_on"] = event.envelope.business_date if row["status"] == "resolved" else None
    rows.put_version("dispute", (data.company, data.dispute_id), row)


def hold(rows: Rows, event: Event) -> None:
    data: HoldState = event.data
    names = (
        "company", "hold_id", "version", "account_id", "kind", "grade", "cause", "policy", "approved_by", "targets",
        "from_at", "lease_s", "overdue_minor",
    )  # fmt: skip
    row = {name: getattr(data, name) for name in names}
    row |= {"status": data.TYPE.removeprefix("hold."), "currency": data.currency or ""}
    row["business_date"] = event.envelope.business_date
    rows.put_version("hold", (data.company, data.hold_id), row)


def effect(rows: Rows, event: Event) -> None:
    data: EffectConfirmed | EffectFailed = event.data
    names = (
        "company", "effect_id", "of", "subject_id", "account_id", "version", "target", "attempts", "answered_at",
        "state",
    )  # fmt: skip
    row = {name: getattr(data, name) for name in names}
    row |= {"confirmed": isinstance(data, EffectConfirmed), "code": getattr(data, "code", "")}
    row["reasons"] = [reason.model_dump(mode="json") for reason in getattr(data, "reasons", [])]
    row["business_date"] = event.envelope.business_date
    rows.put("effect", (data.company, data.effect_id), row)


def activity(rows: Rows, event: Event) -> None:
    data: ActivityLogged = event.data
    names = (
        "company", "activity_id", "account_id", "kind", "direction", "contact_id", "addressee", "outcome_code",
        "next_step", "next_on", "text", "by", "done_on", "minutes", "supersedes", "follows",
    )  # fmt: skip
    row = {name: getattr(data, name) for name in names} | {"known_at": event.envelope.known_at}
    rows.put("activity", (data.company, data.activity_id), row)


def escalation(rows: Rows, event: Event) -> None:
    data: EscalationRaised = event.data
    names = ("company", "escalation_id", "account_id", "reason", "level", "overdue_minor", "raised_on")
    row = {name: getattr(data, name) for name in names} | {"addressee": data.to, "currency": data.currency or ""}
    rows.put("escalation", (data.company, data.escalation_id), row)
