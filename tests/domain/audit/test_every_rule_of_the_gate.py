"""Each rule of the gate, (a) to (f), broken once as if the gate were not there: the auditor finds it and says which."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from audit.findings import Findings
from audit.log_reader import Event
from audit.notices import judge_notices
from tests.domain.audit.said import (
    ACME,
    BEFORE,
    SENT_AT,
    TOO_LATE,
    UPSTREAM,
    account,
    closed,
    configured,
    contact,
    identity,
    item_state,
    log_of,
    notice,
    payment,
    placed,
    policy,
    requested,
    said,
    statement,
    tick,
    ticks,
)

OWED = item_state()
SCENE = {
    "company": (configured(),), "account": (account(),), "item": (OWED,), "contact": (contact(),),
    "policy": (policy(),), "request": (requested(OWED),), "statement": (statement(),),
    "ticks": tuple(event for source in UPSTREAM for event in ticks(source)),
    "days": tuple(closed(source) for source in UPSTREAM),
}  # fmt: skip
MORE = "more"


def against(sent: Event | None = None, **changes: tuple[Event, ...]) -> str:
    """Everything that the auditor has against a notice in a scene with these parts changed; empty if nothing."""
    findings = Findings()
    events = [event for part in {**SCENE, **changes}.values() for event in part]
    sent = sent or notice(OWED)
    judge_notices(log_of(*events, sent), findings)
    return "; ".join(text for text in findings.texts if f"notice {sent.data['notice_id']} " in text)


def told(source: str, **reach: object) -> tuple[Event, ...]:
    """Ticks of all services, one of which says something of its own."""
    return tuple(e for s in UPSTREAM for e in ticks(s, **(reach if s == source else {})))


def parked(kind: str = "key", account_id: str | None = None, amount: int | None = None) -> dict:
    thing = {"kind": kind, "id": "X", "company": ACME, "account_id": account_id, "amount_minor": amount}
    return {"parked": [thing]}


def quarantined(known_at=BEFORE, name: str = "r", **more) -> Event:
    data = {"record_id": identity(name), "kind": "credit_memo", "hints": [], **more}
    return said("record.quarantined", "ar.payments", known_at, **data)


def released(known_at=BEFORE, name: str = "r") -> Event:
    return said("record.released", "ar.payments", known_at, record_id=identity(name), kind="credit_memo")


def held(known_at=BEFORE) -> Event:
    return said(
        "statement.held", "ar.payments", known_at, statement_id="S", bank_account="EUR-1", currency="EUR", credits=[]
    )


def let_go(known_at=BEFORE, outcome: str = "refused") -> Event:
    return said("statement.released", "ar.payments", known_at, statement_id="S", bank_account="EUR-1", outcome=outcome)


def candidate(type_: str = "cash.candidate", known_at=BEFORE, **more) -> Event:
    data = {"candidate_id": identity("c"), "account_id": "C1", "amount_minor": 5, "currency": "EUR"}
    return said(type_, "ar.ledger", known_at, **{**data, "since_on": "2026-01-13", **more})


def earlier(days: int, end: str | None = "notice.sent", number: int = 1) -> tuple[Event, ...]:
    """Another notice to the account, and how it ended."""
    at = SENT_AT - timedelta(days=days)
    data = {"notice_id": identity(f"earlier {days} {number}"), "message_id": f"<{days}.{number}@x>"}
    sending = notice(OWED, decided_at=at, **data)
    return (sending, *((said(end, "ar.notifications", at, account_id="C1", **data),) if end else ()))


def at_hour(hour: int, minute: int = 5, day: int = 14) -> tuple[Event, dict[str, tuple[Event, ...]]]:
    """A notice of another instant (UTC), with ticks and statements that reach it."""
    at = SENT_AT.replace(day=day, hour=hour, minute=minute)
    reach = {"bank_accounts": {"EUR-1": f"2026-01-{day - 1:02}"}}
    moved = tuple(
        tick(n, at - timedelta(seconds=s), source, **reach) for source in UPSTREAM for n, s in ((1, 120), (2, 10))
    )
    request = requested(OWED, not_before_at=BEFORE.isoformat(), expires_at=(at + timedelta(days=1)).isoformat())
    head = statement(to_on=f"2026-01-{day - 1:02}")
    return notice(OWED, decided_at=at), {"ticks": moved, "request": (request,), "statement": (head,)}


def test_a_notice_against_which_no_rule_stands_is_right():
    assert against() == ""


IN_TIME = BEFORE.isoformat()
BROKEN = {
    "a: day not closed by the subledger": (
        {"days": (closed("ingest"), closed("cash_application", "2026-01-12"), closed("collections"))},
        "cash_application had not closed 2026-01-13",
    ),
    "a: a tick that is too old": (
        {"ticks": (*ticks("ingest"), *ticks("collections"),
                   tick(1, SENT_AT - timedelta(minutes=2), "cash_application"))},
        "the last tick of cash_application was",
    ),
    "a: no tick at all": ({"ticks": (*ticks("ingest"), *ticks("cash_application"))}, "collections was never"),
    "a: too early": (
        {"request": (requested(OWED, not_before_at=(SENT_AT + timedelta(hours=1)).isoformat()),)}, "not before"
    ),
    "a: expired": ({"request": (requested(OWED, expires_at=SENT_AT.isoformat()),)}, "had expired"),
    "b: no statement": ({"statement": ()}, "reach None"),
    "b: a statement that does not reach": ({"statement": (statement(to_on="2026-01-12"),)}, "needed 2026-01-13"),
    "b: records of an accepted file that wait": (
        {"ticks": told("ingest", bank_accounts={"EUR-1": "2026-01-12"})}, "ingest said that data"
    ),
    "b: a calendar that nobody knows": (
        {"company": (replace(configured(), data={**configured().data, "bank_accounts": [
            {"id": "EUR-1", "currency": "EUR", "calendar": "NOWHERE"}]}),)},
        "calendar NOWHERE",
    ),
    "c: a key parked at the subledger": ({"ticks": told("cash_application", **parked(account_id="C1"))}, "key X is"),
    "c: a key of nobody parked at collections": ({"ticks": told("collections", **parked())}, "parked at collections"),
    "c: a held statement that ingest names": ({"ticks": told("ingest", **parked("statement"))}, "statement X is"),
    "c: a submission that is stuck": ({"ticks": told("ingest", **parked("submission"))}, "submission X is parked"),
    "c: more parked than named": ({"ticks": told("ingest", parked_more=True)}, "more things are parked than ingest"),
    "c: a held statement": ({MORE: (held(),)}, "statement S of EUR-1 is held"),
    "c: a statement held again": ({MORE: (held(), let_go(), held())}, "statement S of EUR-1 is held"),
    "c: a record of its own": ({MORE: (quarantined(account_id="C1", amount_minor=3),)}, "credit_memo"),
    "c: a credit memo of that amount and of nobody": (
        {MORE: (quarantined(amount_minor=49_000, currency="EUR"),)}, "credit_memo"
    ),
    "c: a credit memo of any amount, where the policy does not compare": (
        {MORE: (quarantined(amount_minor=3, currency="EUR"),), "policy": (policy(unassigned="company"),)}, "credit_memo"
    ),
    "c: a record of nobody without an amount": ({MORE: (quarantined(),)}, "credit_memo"),
    "c: a record refused again after its release": (
        {MORE: (quarantined(account_id="C1"), released(), quarantined(account_id="C1", times=2))}, "credit_memo"
    ),
    "d: a payment refused again after its release": (
        {MORE: (quarantined(kind="payment", amount_minor=5, currency="EUR", hints=["Nordwind"]), released(),
                quarantined(kind="payment", amount_minor=5, currency="EUR", hints=["Nordwind"], times=2))},
        "connected by name",
    ),
    "d: a candidate that the ledger named": ({MORE: (candidate(),)}, "cash candidate"),
    "d: a candidate named again": (
        {MORE: (candidate(), candidate("cash.candidate_cleared"), candidate())}, "cash candidate"
    ),
    "e: less than the least claim": (
        {"request": (requested(item_state(remaining=90_000)),), "policy": (policy(minimum_minor={"EUR": 60_000}),)},
        "the least is 60000",
    ),
    "e: a natural person": ({"account": (account(debtor_kind="natural_person"),)}, "no profile"),
    "e: a debtor of no kind": ({"account": (account(debtor_kind="unknown"),)}, "no profile"),
    "e: another country": ({"policy": (policy({"countries": ["GB"]}),)}, "organisation in DE"),
    "e: a channel that the profile closes": ({"policy": (policy({"channels": []}),)}, "channel email is closed"),
    "e: a channel that the contact does not want": ({"contact": (contact(channels=["phone"]),)}, "does not want"),
    "e: a window that the profile keeps": (
        {"policy": (policy({"window": {"start": "10:00", "end": "18:00"}}),)}, "outside the window"
    ),
    "e: a day that the profile keeps": ({"policy": (policy({"window": {"days": ["mon"]}}),)}, "outside the window"),
    "e: an hour that is none where the contact is": (
        {"contact": (contact(time_zone="America/New_York"),)}, "03:05 in America/New_York"
    ),
    "e: a time zone that is not known": (
        {"account": (account(time_zone=""),), "policy": (policy({"needs_own_time_zone": True}),)}, "time zone"
    ),
    "e: the cap": ({MORE: (*earlier(1), *earlier(3), *earlier(6))}, "3 notices in 7 days"),
    "e: the cap, with one of which nobody knows": (
        {MORE: (*earlier(1), *earlier(3, "notice.unknown"), *earlier(3, number=2))}, "3 notices in 7 days"
    ),
    "e: no policy": ({"policy": ()}, "no contact policy"),
    "e: a tenth policy after the ninth": (
        {"policy": (policy(version="9"), policy({"channels": []}, version="10"))}, "channel email is closed"
    ),
    "e: a first policy activated again": (
        {"policy": (policy({"channels": []}), policy(version="2"), policy({"channels": []}))}, "channel email is closed"
    ),
    "e: a policy that is none": ({"policy": (policy({"window": {"start": "noon"}}),)}, "cannot be read"),
    "e: an account that nobody knows": ({"account": ()}, "account C1 is not known"),
    "e: a contact that nobody knows": ({"contact": ()}, "contact K1 is not known"),
    "e: an account that is stopped": ({"account": (account(status="attorney"),)}, "is attorney"),
    "e: a contact that is not valid": ({"contact": (contact(valid=False),)}, "is not valid"),
    "e: a contact without an address": ({"contact": (contact(email=""),)}, "no address"),
    "e: an address that names two": ({"contact": (contact(email="a@b.example,c@d.example"),)}, "no address"),
    "e: an objection": ({"contact": (contact(consents=["cease"]),)}, "objected (cease)"),
    "e: an address that refused before": (
        {MORE: (said("contact.invalidated", "ar.notifications", SENT_AT - timedelta(hours=1), account_id="C1",
                     contact_id="K1"),)},
        "refused a mail",
    ),
    "f: an item that nobody knows": ({"item": ()}, "not in the ledger"),
    "f: an item that is smaller by now": ({MORE: (item_state(remaining=1, version=2),)}, "1 was open"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_rule_that_was_broken_is_found_and_named(changes: dict, expected: str):
    assert expected in against(**changes)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (lambda: at_hour(5), "wed 06:05 in Europe/Berlin"),
        (lambda: at_hour(19), "wed 20:05 in Europe/Berlin"),
        (lambda: at_hour(9, day=17), "sat 10:05"),
    ],
)
def test_an_hour_outside_the_window_is_found(moment: Callable, expected: str):
    sent, changes = moment()
    assert expected in against(sent, **changes)


def test_a_holiday_where_the_debtor_is_counts_although_banks_work():
    """6 January 2026 is Epiphany in Austria, and a banking day."""
    sent, changes = at_hour(9, day=6)
    changes["item"] = (early := item_state(due_on="2025-12-20", known_at=BEFORE - timedelta(days=20)),)
    days = {part: tuple(replace(e, known_at=e.known_at - timedelta(days=20)) for e in found) for part, found in
            {**SCENE, **changes}.items() if part not in ("item", "ticks")}  # fmt: skip
    request = requested(early, decided_on="2026-01-05", not_before_at=None, expires_at=None)
    sent = replace(sent, data={**sent.data, "items": notice(early).data["items"]})
    scene = {**changes, **days, "request": (request,)}
    assert against(sent, **scene) == ""
    abroad = replace(account(country="AT"), known_at=BEFORE - timedelta(days=20))
    assert "holiday in AT" in against(sent, **{**scene, "account": (abroad,)})


RIGHT = {
    "a key that was parked after the last minute began": {
        "ticks": (*ticks("ingest"), *ticks("collections"), *ticks("cash_application")[:1],
                  tick(2, SENT_AT - timedelta(seconds=10), "cash_application", **parked())),
    },
    "a key of another account": {"ticks": told("cash_application", **parked(account_id="C2"))},
    "an invoice of nobody": {"ticks": told("ingest", **parked("invoice"))},
    "a credit memo of another amount": {MORE: (quarantined(amount_minor=3, currency="EUR"),)},
    "a record that was let go": {MORE: (quarantined(), released())},
    "a record refused again within the last minute": {
        MORE: (quarantined(account_id="C1"), released(), quarantined(TOO_LATE, account_id="C1", times=2)),
    },
    "a record let go within the last minute": {MORE: (quarantined(), released(TOO_LATE))},
    "a statement that was refused": {MORE: (held(), let_go())},
    "a candidate that was cleared": {MORE: (candidate(), candidate("cash.candidate_cleared"))},
    "a candidate that is too old": {MORE: (candidate(since_on="2025-12-01"),)},
    "a candidate of another account": {MORE: (candidate(account_id="C2"),)},
    "a kind of debtor that changed within the last minute": {
        MORE: (replace(account(debtor_kind="natural_person"), type="account.updated", known_at=TOO_LATE),),
    },
    "a policy that changed within the last minute": {
        "policy": (policy(), policy({"channels": []}, known_at=TOO_LATE, version="2")),
    },
    "notices before the days of the cap": {MORE: (*earlier(1), *earlier(3), *earlier(7))},
    "notices that failed": {MORE: (*earlier(1), *earlier(3), *earlier(4, "notice.failed"))},
    "the last minute of the window": {"policy": (policy({"window": {"start": "09:05", "end": "09:06"}}),)},
    "cash that a person gave away": {
        MORE: (payment(777, name="Nordwind"), placed(777, version=1, actor="user:ana", unidentified_minor=777)),
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", RIGHT.values(), ids=RIGHT.keys())
def test_what_no_rule_forbids_is_right(changes: dict):
    assert against(**changes) == ""


def test_a_gap_that_a_person_accepted_does_not_stand_against_anyone():
    behind = said(
        "statement.received", "ar.payments", statement_id="S", bank_account="EUR-1", currency="EUR",
        from_on="2026-01-13", to_on="2026-01-13", opening_minor=5, closing_minor=5, balanced=True,
    )  # fmt: skip
    parts = {"statement": (statement(to_on="2026-01-09"), behind)}
    assert "needed 2026-01-13" in against(**parts)
    assert against(**parts, more=(let_go(outcome="booked"),)) == ""
