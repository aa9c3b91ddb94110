"""Deliveries of holds to the access system: which version goes out, which must pass the gate, how an answer counts.

Invariant: a newer version replaces an unsent older one and an older one is never sent after it; an order and a higher
grade pass the gate before each attempt, a lift never waits for it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from services.notifications.domain.commands import Answered
from services.notifications.domain.deliveries import WEBHOOK_QUICK_ATTEMPTS, webhook_again_s, webhook_until
from services.notifications.domain.model import AskedHold, Outcome, Reached, Wait, Withheld
from services.notifications.domain.notices import banks_of, dump, outcome_name
from services.notifications.domain.rows import EffectRow, GateRecord
from shared.events.collections import HoldLifted, HoldOrdered, HoldState
from shared.events.facts import Fact
from shared.events.notifications import EffectConfirmed, EffectFailed
from shared.ids import derive

TARGET = "access_system"
RANK = {"warn": 1, "restrict": 2, "deny": 3}
HOLD_WAIT_DAYS_WITHOUT_POLICY = 3
NOT_TAKEN = ("WITHHELD", "NO_TARGET", "NOT_APPLIED", "LATE", "ConnectError", "ConnectTimeout", "PoolTimeout")
"""Codes of attempts that certainly changed nothing at the access system, beside every HTTP status that is no yes."""


def state_of(data: HoldState) -> str:
    if isinstance(data, HoldLifted):
        return "lifted"
    return "ordered" if isinstance(data, HoldOrdered) else "renewed"


def new_effect(
    data: HoldState, earlier: Iterable[EffectRow], envelope: dict[str, Any], number: int, wait_days: int
) -> EffectRow | None:
    """Delivery of this version, None when a newer one is known. Older ones that are unsent become superseded.

    `number` is the last complete tick when the order was read.
    """
    versions = sorted(earlier, key=lambda effect: effect.version)
    if versions and versions[-1].version >= data.version:
        return None
    state = state_of(data)
    gated = state != "lifted" and RANK[data.grade] > _grade_out(versions)
    for older in versions:
        if older.status == "due":
            older.status = "superseded"
    return EffectRow(
        company=data.company,
        effect_id=derive("effect", data.company, "hold", data.hold_id, data.version),
        hold_id=data.hold_id,
        account_id=data.account_id,
        version=data.version,
        state=state,
        grade=data.grade,
        target=TARGET,
        gated=gated,
        from_at=data.from_at,
        expires_at=data.from_at + timedelta(days=wait_days),
        body=_body(data, state),
        envelope=envelope,
        read_at_number=number,
    )


def _grade_out(versions: list[EffectRow]) -> int:
    """Rank of the grade that the access system may have by now: that of the newest version put to it, 0 for none."""
    put = [effect for effect in versions if _may_be_in_force(effect)]
    if not put or put[-1].state == "lifted":
        return 0
    return RANK[put[-1].grade]


def _may_be_in_force(effect: EffectRow) -> bool:
    """Confirmed, or the last attempt ended without a definite no. A lift counts as soon as it was tried."""
    if effect.status == "confirmed":
        return True
    refused = effect.code in NOT_TAKEN or effect.code.startswith("HTTP_")
    return effect.attempts > 0 and (effect.state == "lifted" or not refused)


def _body(data: HoldState, state: str) -> dict[str, Any]:
    return {
        "hold_id": str(data.hold_id),
        "version": data.version,
        "company": data.company,
        "account_id": data.account_id,
        "kind": data.kind,
        "grade": data.grade,
        "targets": list(data.targets),
        "lease_s": data.lease_s,
        "state": state,
        "overdue_minor": data.overdue_minor,
        "currency": data.currency,
    }


def asked_of(row: EffectRow) -> AskedHold:
    """The order as the gate reads it."""
    return AskedHold(
        hold_id=row.hold_id,
        version=row.version,
        account_id=row.account_id,
        read_at_number=row.read_at_number,
        from_at=row.from_at,
        expires_at=row.expires_at,
        overdue_minor=row.body["overdue_minor"],
        currency=row.body["currency"],
    )


def judged(row: EffectRow, outcome: Outcome, reached: Reached, at: datetime) -> list[Fact]:
    """Bring the outcome of the gate into the row. A withheld order is reported as failed, with its reasons."""
    row.reasons = dump(outcome.reasons)
    if isinstance(outcome, Wait):
        row.judged_at_number, row.lease_until_at = reached.tick_number, None
        return []
    if isinstance(outcome, Withheld):
        row.status, row.lease_until_at, row.code, row.reported = "withheld", None, "WITHHELD", True
        return [EffectFailed(**_head(row, reached.now), code="WITHHELD", reasons=list(outcome.reasons))]
    _begin(row, at)
    return []


def begun(row: EffectRow, at: datetime) -> None:
    """An attempt that needs no gate begins."""
    _begin(row, at)


def _begin(row: EffectRow, at: datetime) -> None:
    row.attempts, row.code = row.attempts + 1, ""
    row.first_try_at = row.first_try_at or at


def answered(row: EffectRow, told: Answered, now: datetime) -> list[Fact]:
    """Bring the answer into the row. Facts: effect.confirmed per target, or once effect.failed when none comes."""
    row.lease_until_at, row.code, row.answered_at = None, told.code, now
    if told.confirmed:
        if row.status == "due":
            row.status = "confirmed"
        targets = row.body["targets"] or [row.target]
        return [EffectConfirmed(**{**_head(row, now), "target": target}) for target in targets]
    if row.status != "due":
        return []
    over = webhook_until(row.first_try_at or told.at, row.state, row.body["lease_s"]) <= told.at
    if told.final or over:
        row.status = "failed"
    else:
        row.next_try_at = told.at + timedelta(seconds=webhook_again_s(row.attempts))
    if row.reported or not (row.status == "failed" or row.attempts >= WEBHOOK_QUICK_ATTEMPTS):
        return []
    row.reported = True
    return [EffectFailed(**_head(row, now), code=told.code)]


def record_of(
    row: EffectRow, outcome: Outcome, reached: Reached, claim: int, judged_at: datetime, policy: str
) -> GateRecord:
    """What the gate knew, for the auditor."""
    return GateRecord(
        company=row.company,
        subject_id=row.effect_id,
        claim=claim,
        of="hold",
        account_id=row.account_id,
        outcome=outcome_name(outcome),
        decided_at=reached.now,
        judged_at=judged_at,
        tick_number=reached.tick_number,
        tick_at=reached.tick_at,
        banks=banks_of(reached),
        items=[],
        reasons=dump(outcome.reasons),
        policy=policy,
    )


def _head(row: EffectRow, now: datetime) -> dict[str, Any]:
    return {
        "company": row.company,
        "effect_id": row.effect_id,
        "of": "hold",
        "subject_id": row.hold_id,
        "account_id": row.account_id,
        "version": row.version,
        "target": row.target,
        "attempts": row.attempts,
        "answered_at": now,
        "state": row.state,
    }
