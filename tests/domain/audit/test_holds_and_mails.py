"""Holds only after warning, cure days and a person's approval, never an older version last; one mail per request."""

import json
from pathlib import Path

import pytest

from audit.findings import Findings
from audit.holds import check_holds
from audit.log_reader import Event
from audit.mails import check_mails
from audit.stores import Store
from tests.domain.audit.said import (
    BEFORE,
    SENT_AT,
    account,
    configured,
    identity,
    item_state,
    log_of,
    notice,
    said,
    timedelta,
)

OWED = item_state(known_at=BEFORE - timedelta(days=30))
POLICY = said(
    "policy.activated", "ar.control", name="holds", version="1", sha256="0", effective_on="2025-01-01",
    content={"threshold_minor": {"EUR": 10_000}, "cure_days": 5, "auto_hold": False},
)  # fmt: skip
PROPOSED_AT = SENT_AT + timedelta(days=14)
HOLD = {
    "hold_id": identity("hold"), "account_id": "C1", "overdue_minor": 50_000, "currency": "EUR", "grade": "restrict",
    "approval_id": identity("approval"),
}  # fmt: skip


def warning(days_before: int = 10, **more) -> Event:
    named = [{"item_id": OWED.data["item_id"]}]
    sent_at = PROPOSED_AT - timedelta(days=days_before)
    data = {
        "notice_id": identity("w"),
        "account_id": "C1",
        "kind": "hold_warning",
        "message_id": "<w@x>",
        "items": named,
    }
    return said("notice.sent", "ar.notifications", sent_at, **{**data, **more})


def proposed() -> Event:
    return said("hold.proposed", "ar.collections", PROPOSED_AT, actor="service:collections", version=1, **HOLD)


def ordered(**more) -> Event:
    data = {**HOLD, "approved_by": "user:sven", **more}
    return said("hold.ordered", "ar.collections", PROPOSED_AT + timedelta(hours=20), version=2, **data)


def approval(**more) -> Store:
    row = {
        "id": identity("approval"), "subject_id": identity("hold"), "outcome": "approved", "decided_by": "user:sven",
        "requested_by": "service:collections", "body_hash": "h",
    }  # fmt: skip
    hold = {"hold_id": identity("hold"), "body_sha256": "h", "proposed_by": "service:collections"}
    return Store("collections", {"approvals": [{**row, **more}], "holds": [hold]})


def held(*events: Event, collections: Store | None = None, journal: Path | None = None) -> list[str]:
    findings = Findings()
    scene = (configured(), account(), POLICY, OWED)
    check_holds(log_of(*scene, *events), collections or approval(), journal, findings)
    return findings.texts


def test_a_hold_after_warning_cure_days_and_approval_is_right():
    assert held(warning(), proposed(), ordered()) == []


WRONG = {
    "never proposed": ((warning(), ordered()), "never proposed"),
    "no warning": ((proposed(), ordered()), "no hold warning"),
    "cure days not over": ((warning(7), proposed(), ordered()), "cure days"),
    "approved by nobody": ((warning(), proposed(), ordered(approved_by="")), "no named person"),
    "approved by a program": ((warning(), proposed(), ordered(approved_by="service:collections")), "no named person"),
    "ordered by rule": ((warning(), proposed(), ordered(approved_by="policy:holds@1")), "wants a person"),
    "below the threshold": ((warning(), proposed(), ordered(overdue_minor=9_999)), "threshold"),
    "more than was warned of": ((warning(), proposed(), ordered(overdue_minor=50_001)), "the items warned of owed"),
    "promised": (
        (warning(), proposed(), ordered(), said("promise.made", "ar.collections", promise_id="p", version=1,
                                                account_id="C1", items=[])),
        "while a promise stood",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_hold_that_lacks_a_condition_is_found(events: tuple[Event, ...], expected: str):
    assert any(expected in text for text in held(*events))


@pytest.mark.parametrize(
    "wrong", [{"outcome": "pending"}, {"decided_by": "user:ana"}, {"requested_by": "user:sven"}, {"body_hash": "x"}]
)
def test_an_approval_that_does_not_hold_is_found(wrong: dict):
    assert held(warning(), proposed(), ordered(), collections=approval(**wrong))


def test_an_older_version_after_the_lift_is_found(tmp_path: Path):
    lifted = said("hold.lifted", "ar.collections", PROPOSED_AT + timedelta(days=2), version=3, **HOLD)
    events = (warning(), proposed(), ordered(), lifted)
    lines = [json.dumps({"order": {"hold_id": HOLD["hold_id"], "version": v, "state": s}}) for v, s in
             ((2, "ordered"), (3, "lifted"), (2, "ordered"))]  # fmt: skip
    path = tmp_path / "received.jsonl"
    path.write_text("\n".join(lines[:2]))
    assert held(*events, journal=path) == []
    path.write_text("\n".join(lines))
    assert any(
        "version 2 (ordered) came to the access system after 3 (lifted)" in t for t in held(*events, journal=path)
    )


LIFTED = said("hold.lifted", "ar.collections", PROPOSED_AT + timedelta(days=2), version=3, **HOLD)


def test_an_order_that_stands_behind_the_lifting_is_found_without_the_access_system():
    assert held(warning(), proposed(), ordered(), LIFTED) == []
    assert any("version 2 (hold.ordered) stands behind 3 (hold.lifted)" in t for t in
               held(warning(), proposed(), LIFTED, ordered()))  # fmt: skip


def test_an_older_version_that_is_confirmed_after_the_lifting_is_found():
    confirmed = [
        said("effect.confirmed", "ar.notifications", account_id="C1", of="hold", subject_id=HOLD["hold_id"], version=v)
        for v in (3, 2)
    ]
    found = held(warning(), proposed(), ordered(), LIFTED, *confirmed)
    assert any("as confirmed: version 2 (effect.confirmed) stands behind 3" in text for text in found)


def mailed(folder: Path, ids: list[str], *events: Event) -> list[str]:
    for number, message_id in enumerate(ids):
        (folder / f"{number}.eml").write_text(f"Message-ID: {message_id}\n\nhello")
    findings = Findings()
    check_mails(log_of(*events), None, folder, findings)
    return findings.texts


REQUESTED = said("notice.requested", "ar.collections", notice_id=identity("notice"), account_id="C1")
SENT = said("notice.sent", "ar.notifications", notice_id=identity("notice"), message_id="<m@x>", channel="email")


def test_one_request_one_mail(tmp_path: Path):
    assert mailed(tmp_path, ["<m@x>"], REQUESTED, notice(OWED), SENT) == []


@pytest.mark.parametrize("ids", [["<m@x>", "<m@x>"], ["<m@x>", "<other@x>"], []])
def test_a_mail_twice_a_mail_of_nobody_and_a_mail_that_is_not_there_are_found(tmp_path: Path, ids: list[str]):
    assert mailed(tmp_path, ids, REQUESTED, notice(OWED), SENT)


def test_a_notice_that_nobody_asked_for_is_found(tmp_path: Path):
    assert mailed(tmp_path, ["<m@x>"], notice(OWED), SENT)


def told(kind: str, name: str = "notice", message: str = "<m@x>", **more) -> Event:
    data = {"notice_id": identity(name), "account_id": "C1", "message_id": message, "channel": "email"}
    return said(kind, "ar.notifications", **{**data, **more})


AGAIN = {
    "started again after it was sent": ((notice(OWED), SENT, notice(OWED)), "was sending again after notice.sent"),
    "started again although it may have left": (
        (notice(OWED), told("notice.unknown"), notice(OWED)), "was sending again after notice.unknown"
    ),
    "under two messages": ((notice(OWED), notice(OWED, message_id="<n@x>")), "messages under which it left"),
    "told as sent twice": ((notice(OWED), SENT, told("notice.sent")), "told as sent"),
    "two retries of one": (
        (notice(OWED), told("notice.unknown"), *(
            told("notice.sent", name, f"<{name}@x>", retry_of=identity("notice")) for name in ("a", "b"))),
        "retries of it that left",
    ),
    "a retry of one that was sent": (
        (notice(OWED), SENT, told("notice.sent", "a", "<a@x>", retry_of=identity("notice"))), "and left again as"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), AGAIN.values(), ids=AGAIN.keys())
def test_a_request_that_left_twice_is_found_by_the_log_alone(events: tuple[Event, ...], expected: str):
    findings = Findings()
    check_mails(log_of(REQUESTED, *events), None, None, findings)
    assert any(expected in text for text in findings.texts)


def test_a_start_that_surely_did_not_leave_may_be_made_again():
    findings = Findings()
    check_mails(log_of(REQUESTED, notice(OWED), notice(OWED), SENT), None, None, findings)
    assert findings.texts == []


@pytest.mark.parametrize("outcome", ["pass", "withheld"])
def test_an_order_that_left_without_the_gate_is_found(outcome: str):
    gate = {"subject_id": identity("effect"), "outcome": outcome}
    effect = {"effect_id": identity("effect"), "hold_id": HOLD["hold_id"], "version": 2, "state": "ordered",
              "status": "confirmed"}  # fmt: skip
    store = Store("notifications", {"notices": [], "gate_records": [gate], "effects": [effect]})
    findings = Findings()
    check_mails(log_of(), store, None, findings)
    assert any("left without a record of the gate" in text for text in findings.texts) == (outcome == "withheld")
