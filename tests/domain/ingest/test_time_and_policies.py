"""Chains over banking days, days to close, reading policy files, checking a company."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain import configuring, policies, statements
from services.ingest.domain.days import days_to_close, tick_due, window_open
from services.ingest.domain.fields import Refused
from services.ingest.domain.statements import Chain, Statement
from shared.calendars import next_business_day
from shared.errors import Rejected
from shared.events.control import BankAccount, CompanyConfigured

COMPANY = CompanyConfigured(
    company="acme",
    base_currency="EUR",
    time_zone="Europe/Berlin",
    calendar="XECB",
    bank_accounts=[BankAccount(id="EUR-1", currency="EUR")],
)


def head(number: str, on: date, opening: int, closing: int, **changes) -> Statement:
    credits, debits = max(0, closing - opening), max(0, opening - closing)
    made = Statement(f"s{number}-{on}-{opening}", number, on, on, opening, closing, credits, debits)
    return replace(made, segment=made.statement_id, **changes)


@given(st.lists(st.integers(-500, 500), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_a_chain_reaches_its_last_day_in_whatever_order_its_statements_come(moves: list[int], order) -> None:
    made, balance, on = [], 0, date(2026, 1, 1)
    for number, move in enumerate(moves, 1):
        on = next_business_day(on, "XECB")
        made.append(head(str(number), on, balance, balance + move))
        balance += move
    rest = made[1:]
    order.shuffle(rest)
    chain, on_chain = statements.extend(Chain(), [made[0]])
    waiting: list[Statement] = []
    for one in rest:
        waiting.append(one)
        chain, taken = statements.extend(chain, waiting)
        on_chain += taken
        waiting = [w for w in waiting if w.statement_id not in taken]
    assert len(on_chain) == len(made) and (chain.through_on, chain.closing_minor) == (on, balance)


def test_a_missing_statement_stops_the_chain_and_is_named() -> None:
    chain, _ = statements.extend(Chain(), [head("1", date(2026, 1, 5), 0, 10)])
    later = head("3", date(2026, 1, 7), 30, 40)
    assert statements.extend(chain, [later]) == (chain, [])
    expected, found = statements.gap(chain, later, "EUR")
    assert expected == "number 2 with opening balance 0.10 EUR" and found == "number 3 with opening balance 0.30 EUR"


def test_a_missing_number_stops_the_chain_even_if_the_balances_agree() -> None:
    chain, _ = statements.extend(Chain(), [head("1", date(2026, 1, 5), 0, 10)])
    assert statements.extend(chain, [head("3", date(2026, 1, 7), 10, 40)]) == (chain, [])
    assert statements.extend(chain, [head("2", date(2026, 1, 7), 10, 40)])[0].through_on == date(2026, 1, 7)


def test_numbers_may_begin_again_with_a_year() -> None:
    chain, _ = statements.extend(Chain(), [head("250", date(2025, 12, 31), 0, 10)])
    assert statements.extend(chain, [head("1", date(2026, 1, 2), 10, 20)])[0].through_on == date(2026, 1, 2)


def test_an_unbalanced_statement_is_never_on_the_chain() -> None:
    bad = replace(head("1", date(2026, 1, 5), 0, 10), closing_minor=11)
    assert statements.extend(Chain(), [bad]) == (Chain(), [])


def test_days_are_closed_at_their_hour_in_order_and_only_business_days() -> None:
    friday_evening = datetime(2026, 1, 9, 17, 0, tzinfo=UTC)
    assert days_to_close(COMPANY, None, friday_evening) == [date(2026, 1, 9)]
    assert days_to_close(COMPANY, None, friday_evening - timedelta(minutes=1)) == []
    assert days_to_close(COMPANY, date(2026, 1, 9), friday_evening + timedelta(days=1)) == []
    assert days_to_close(COMPANY, date(2026, 1, 8), datetime(2026, 1, 13, 20, tzinfo=UTC)) == [
        date(2026, 1, 9), date(2026, 1, 12), date(2026, 1, 13),
    ]  # fmt: skip


def test_ticks_are_frequent_only_while_somebody_may_send() -> None:
    noon, night = datetime(2026, 1, 5, 11, tzinfo=UTC), datetime(2026, 1, 5, 23, tzinfo=UTC)
    assert window_open([COMPANY], noon) and not window_open([COMPANY], night)
    due = {"busy_s": 30, "idle_s": 600}
    assert tick_due(noon - timedelta(seconds=30), noon, busy=True, **due)
    assert not tick_due(noon - timedelta(seconds=30), noon, busy=False, **due)
    assert tick_due(None, noon, busy=False, **due)


def test_a_policy_is_read_from_yaml_or_json_and_hashed_by_its_content() -> None:
    yaml = policies.content_of("levels:\n  - {days: 7}\nfrom: 2026-01-01\n")
    assert yaml == policies.content_of('{"from": "2026-01-01", "levels": [{"days": 7}]}')
    assert policies.sha256_of(yaml) == policies.sha256_of(dict(reversed(yaml.items())))
    for text in ("levels: [", "- a list", "!!python/object/apply:os.getcwd []"):
        with pytest.raises(Refused):
            policies.content_of(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"time_zone": "Europe/Atlantis"},
        {"calendar": "NOWHERE"},
        {"base_currency": "XXQ"},
        {"bank_accounts": [BankAccount(id="A", currency="EUR"), BankAccount(id="A", currency="USD")]},
    ],
)
def test_a_company_that_cannot_work_is_refused(changes: dict) -> None:
    with pytest.raises(Rejected) as caught:
        configuring.check_company(COMPANY.model_copy(update=changes), None)
    assert caught.value.code == "company_not_valid"


def test_currencies_in_which_books_are_kept_do_not_change() -> None:
    for changes in ({"base_currency": "USD"}, {"bank_accounts": [BankAccount(id="EUR-1", currency="USD")]}):
        with pytest.raises(Rejected):
            configuring.check_company(COMPANY.model_copy(update=changes), COMPANY)
