"""What collections makes of commands, one function per command; each returns the reply of the API."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from services.collections.domain import activities, disputes, escalation, holds
from services.collections.domain import commands as c
from services.collections.domain import promising as promise
from services.collections.domain.refusal import Refusal
from services.collections.domain.rows import Dispute, Hold
from services.collections.handlers.turn import Turn
from shared.approval import ApprovalRequest, Approved, decide
from shared.events.collections import ActivityLogged


def _known_account(turn: Turn) -> None:
    if not turn.case.account.known and not turn.case.items:
        message = f"company {turn.case.company!r} has no account {turn.case.account_id!r} here"
        raise Refusal("account_unknown", message, 404, "feed the customer or an invoice of it to ingest first")


def _make_promise(turn: Turn, asked: c.MakePromise) -> dict[str, Any]:
    _known_account(turn)
    envelope = turn.event.envelope
    taking = promise.Taking(envelope.id, envelope.known_at, turn.actor)
    made, facts = promise.make(turn.case, asked, turn.rules, taking)
    turn.facts += facts
    return {
        "promise_id": str(made.promise_id),
        "status": made.status,
        "amount_minor": made.amount_minor,
        "currency": made.currency,
        "due_on": made.due_on.isoformat(),
        "judged_from_on": made.judged_from_on.isoformat(),
        "items": made.items,
        "superseded": [str(f.promise_id) for f in facts if f.promise_id != made.promise_id],  # type: ignore[attr-defined]
    }


def _cancel_promise(turn: Turn, asked: c.CancelPromise) -> dict[str, Any]:
    turn.facts.append(promise.cancel(turn.case, asked, turn.on))
    return {"promise_id": str(asked.promise_id), "status": "cancelled"}


def _allow_promise(turn: Turn, asked: c.AllowPromise) -> dict[str, Any]:
    _known_account(turn)
    promise.allow(turn.case)
    note = c.LogActivity(account_id=asked.account_id, kind="note", direction="internal", text=asked.reason)
    turn.facts.append(_logged(turn, note))
    return {"account_id": asked.account_id, "allowances": turn.case.account.allowances}


def _open_dispute(turn: Turn, asked: c.OpenDispute) -> dict[str, Any]:
    envelope = turn.event.envelope
    made, facts = disputes.open_dispute(turn.case, asked, turn.rules, envelope.id, turn.actor, envelope.known_at)
    turn.facts += facts
    return _dispute_reply(made)


def _update_dispute(turn: Turn, asked: c.UpdateDispute) -> dict[str, Any]:
    changed, facts = disputes.update(turn.case, asked, turn.rules)
    turn.facts += facts
    return _dispute_reply(changed)


def _resolve_dispute(turn: Turn, asked: c.ResolveDispute) -> dict[str, Any]:
    resolved, facts = disputes.resolve(turn.case, asked, turn.rules, turn.event.envelope.id, turn.actor)
    turn.facts += facts
    return _dispute_reply(resolved)


def _dispute_reply(dispute: Dispute) -> dict[str, Any]:
    return {
        "dispute_id": str(dispute.dispute_id),
        "version": dispute.version,
        "status": dispute.status,
        "outcome": dispute.outcome,
        "disputed_minor": dispute.disputed_minor,
        "credited_minor": dispute.credited_minor,
        "currency": dispute.currency,
        "due_on": dispute.due_on.isoformat(),
    }


def _decide_hold(turn: Turn, asked: c.DecideHold) -> dict[str, Any]:
    hold = turn.case.holds.get(asked.hold_id)
    if hold is None:
        raise Refusal("hold_unknown", f"account {turn.case.account_id} has no hold {asked.hold_id}", 404)
    if reason := holds.reason_to_end(turn.case, turn.rules) if hold.status == "proposed" else None:
        raise Refusal("hold_not_due", f"the hold has lost its reason ({reason}) and is being withdrawn")
    approved = _approved(turn, hold, asked)
    row = holds.approval_of(turn.case, hold)
    decided = {"decided_by": approved.decided_by, "decided_on_behalf_of": approved.decided_on_behalf_of}
    outcome = "approved" if asked.approve else "refused"
    turn.case.put(replace(row, **decided, decided_at=approved.decided_at, outcome=outcome, reason=asked.reason or None))
    if asked.approve:
        turn.facts += holds.order(turn.case, hold, approved.decided_at, approved.decided_by, row.id)
    else:
        turn.facts += holds.refuse(turn.case, hold, turn.on, asked.reason)
    after = turn.case.holds[hold.hold_id]
    return {"hold_id": str(hold.hold_id), "status": after.status, "version": after.version}


def _approved(turn: Turn, hold: Hold, asked: c.DecideHold) -> Approved:
    """The decision of the person, maker not checker and for what was shown. Raises Refusal."""
    principal = turn.event.principal
    if principal is None:
        raise Refusal("not_a_person", "a hold is decided by a person who asks for it through the API", 403)
    pending = {"proposed": "pending", "refused": "refused"}.get(hold.status, "approved")
    request = ApprovalRequest(
        id=holds.approval_id_of(hold),
        company=hold.company,
        kind="hold",
        subject_id=str(hold.hold_id),
        body_hash=hold.body_sha256,
        customer_id=hold.account_id,
        reason_code=hold.grade,
        amount_minor=None,
        currency=None,
        requested_by=hold.proposed_by,
        requested_at=hold.from_at,
        outcome=pending,
    )
    decided = decide(
        request,
        principal,
        {},
        [],
        turn.event.envelope.known_at,
        shown_hash=asked.body_sha256,
        current_hash=hold.body_sha256,
    )
    if not isinstance(decided, Approved):
        raise Refusal(decided.code, decided.reason, 409)
    return decided


def _log_activity(turn: Turn, asked: c.LogActivity) -> dict[str, Any]:
    _known_account(turn)
    fact = _logged(turn, asked)
    turn.facts.append(fact)
    return {"activity_id": str(fact.activity_id)}


def _logged(turn: Turn, asked: c.LogActivity) -> ActivityLogged:
    envelope = turn.event.envelope
    return activities.log(turn.case, asked, envelope.id, turn.actor, turn.on, envelope.known_at)


def _release_notice(turn: Turn, asked: c.ReleaseNotice) -> dict[str, Any]:
    notice = turn.case.notices.get(asked.notice_id)
    if notice is None or notice.status != "unknown":
        raise Refusal("notice_not_unknown", "only a notice of unknown fate can be released", 409)
    turn.case.put(replace(notice, released=True))
    note = c.LogActivity(account_id=asked.account_id, kind="note", direction="internal", text=asked.reason)
    turn.facts.append(_logged(turn, note))
    return {"notice_id": str(notice.notice_id), "released": True}


def _escalate(turn: Turn, asked: c.RaiseEscalation) -> dict[str, Any]:
    envelope = turn.event.envelope
    facts = escalation.by_person(turn.case, asked, turn.rules, envelope.id, envelope.known_at)
    turn.facts += facts
    return {"escalation_id": str(facts[0].escalation_id)}  # type: ignore[attr-defined]


COMMANDS: dict[type, Callable[[Turn, Any], dict[str, Any]]] = {
    c.MakePromise: _make_promise,
    c.CancelPromise: _cancel_promise,
    c.AllowPromise: _allow_promise,
    c.OpenDispute: _open_dispute,
    c.UpdateDispute: _update_dispute,
    c.ResolveDispute: _resolve_dispute,
    c.DecideHold: _decide_hold,
    c.LogActivity: _log_activity,
    c.ReleaseNotice: _release_notice,
    c.RaiseEscalation: _escalate,
}
