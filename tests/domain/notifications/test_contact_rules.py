"""Who may be written to, where and at what hour."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.notifications.domain.contact_rules import forbidden, is_address, not_now
from services.notifications.domain.model import Known
from services.notifications.domain.policy import ContactPolicy, read_policy
from tests.domain.notifications.builders import NOW, account, contact, known, rules

BERLIN = "Europe/Berlin"


def against(state: Known, policy: ContactPolicy | None = None, channel: str = "email") -> list[str]:
    return [r.code for r in forbidden(state, "c", channel, policy or rules(), NOW)]


def hour(at: datetime, state: Known | None = None, policy: ContactPolicy | None = None) -> list[str]:
    return [r.code for r in not_now(state or known(), "c", policy or rules(), at, BERLIN)]


def test_a_business_with_a_valid_address_may_be_written_to() -> None:
    assert against(known()) == []


@pytest.mark.parametrize("kind", ["natural_person", "employee", "former_employee", "unknown"])
def test_persons_are_written_to_by_persons_only(kind: str) -> None:
    assert against(known(account=account(debtor_kind=kind))) == ["CHANNEL_CLOSED"]


def test_a_kind_without_a_profile_is_not_written_to() -> None:
    assert against(known(account=account(debtor_kind="martian"))) == ["NO_PROFILE"]
    french = rules(
        profiles=[{"name": "FR", "debtor_kinds": ["organisation"], "countries": ["FR"], "channels": ["email"]}]
    )
    assert against(known(), french) == ["NO_PROFILE"]


def test_profiles_that_match_are_merged_to_the_strictest() -> None:
    profiles = [
        {"name": "ALL", "debtor_kinds": ["organisation"], "channels": ["email", "letter"]},
        {"name": "DE", "debtor_kinds": ["organisation"], "countries": ["DE"], "channels": ["letter"]},
    ]
    assert against(known(), rules(profiles=profiles)) == ["CHANNEL_CLOSED"]
    assert against(known(account=account(country="FR")), rules(profiles=profiles)) == []


def test_an_unknown_account_or_contact_is_not_written_to() -> None:
    assert against(known(account=None)) == ["ACCOUNT_UNKNOWN"]
    assert against(known(contacts={})) == ["CONTACT_UNKNOWN"]


@pytest.mark.parametrize("status", ["insolvent", "deceased", "attorney"])
def test_hard_stops_hold_on_every_channel(status: str) -> None:
    assert "HARD_STOP" in against(known(account=account(status=status)))


def test_an_invalid_contact_an_objection_and_another_channel_close_the_door() -> None:
    assert against(known(contacts={"c": contact(valid=False)})) == ["CONTACT_INVALID"]
    assert against(known(contacts={"c": contact(consents=frozenset({"objection"}))})) == ["OBJECTION"]
    assert against(known(contacts={"c": contact(channels=frozenset({"phone"}))})) == ["CHANNEL_CLOSED"]
    assert against(known(contacts={"c": contact(channels=frozenset())})) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "a@b",
        "a b@c.de",
        "a@b.de,c@d.de",
        "a@b.de\r\nBcc: c@d.de",
        "<a@b.de>",
        "a@b.de>",
        "x" * 260 + "@b.de",
    ],
)
def test_what_is_not_one_plain_address_is_none(text: str) -> None:
    assert not is_address(text)
    assert against(known(contacts={"c": contact(email=text)})) == ["CONTACT_INVALID"]


def test_no_more_than_the_cap_in_its_days() -> None:
    days = (date(2026, 1, 14), date(2026, 1, 15), date(2026, 1, 20))
    assert against(known(sent_on=days)) == ["CAP_REACHED"]
    assert against(known(sent_on=(date(2026, 1, 13), *days[1:]))) == []


def test_a_sole_trader_needs_a_time_zone_of_its_own() -> None:
    trader = account(debtor_kind="sole_trader", time_zone="")
    assert against(known(account=trader)) == ["TIME_ZONE_UNKNOWN"]
    assert against(known(account=trader, contacts={"c": contact(time_zone=BERLIN)})) == []
    assert against(known(account=replace(trader, time_zone="Nowhere/City"))) == ["TIME_ZONE_UNKNOWN"]


@pytest.mark.parametrize(
    ("at", "codes"),
    [
        (datetime(2026, 1, 20, 6, 59, tzinfo=UTC), ["OUTSIDE_WINDOW"]),
        (datetime(2026, 1, 20, 7, 0, tzinfo=UTC), []),
        (datetime(2026, 1, 20, 18, 59, tzinfo=UTC), []),
        (datetime(2026, 1, 20, 19, 0, tzinfo=UTC), ["OUTSIDE_WINDOW"]),
        (datetime(2026, 1, 24, 10, 0, tzinfo=UTC), ["OUTSIDE_WINDOW"]),
        (datetime(2026, 5, 1, 10, 0, tzinfo=UTC), ["HOLIDAY"]),
        (datetime(2026, 7, 20, 6, 0, tzinfo=UTC), []),
        (datetime(2026, 7, 20, 18, 0, tzinfo=UTC), ["OUTSIDE_WINDOW"]),
    ],
)
def test_the_window_is_local_half_open_and_knows_summer_time_and_holidays(at: datetime, codes: list[str]) -> None:
    assert hour(at) == codes


def test_the_hour_must_be_right_in_every_zone_the_reader_may_be_in() -> None:
    reader = {"c": contact(time_zone="America/New_York")}
    assert hour(datetime(2026, 1, 20, 9, 0, tzinfo=UTC), known(contacts=reader)) == ["OUTSIDE_WINDOW"]
    assert hour(datetime(2026, 1, 20, 15, 0, tzinfo=UTC), known(contacts=reader)) == []


def test_a_late_evening_in_los_angeles_is_judged_with_its_summer_time() -> None:
    reader = known(account=account(time_zone="America/Los_Angeles", country="US"), contacts={"c": contact()})
    wide = rules(
        profiles=[
            {
                "name": "US", "debtor_kinds": ["organisation"], "channels": ["email"], "holidays": False,
                "window": {"start": "08:00", "end": "21:00", "days": ["mon", "tue"]},
            }
        ]
    )  # fmt: skip
    at = datetime(2026, 3, 10, 4, 30, tzinfo=UTC)  # Monday 21:30 there; a fixed offset would say 20:30
    assert hour(at, reader, wide) == ["OUTSIDE_WINDOW"]


def test_the_shipped_policy_fits_and_a_misspelt_one_says_where() -> None:
    assert rules().name == "contact"
    assert "profiles" in str(read_policy({"sender": rules().sender.model_dump(mode="json")}))
    assert "windw" in str(read_policy(rules().model_dump(mode="json") | {"windw": 1}))
    bad = rules().model_dump(mode="json")
    bad["profiles"][0]["window"] = {"start": "20:00", "end": "08:00"}
    assert "end must be after start" in str(read_policy(bad))
