"""The worked examples of the metrics: aging, DSO and its kin, promises, withheld notices. Names carry the example."""

from datetime import date
from fractions import Fraction

from services.reporting.api import promise_summary
from services.reporting.domain.aging import OpenAmount, OpenCredit, age, bucket_of
from services.reporting.domain.days_sales import (
    average_days_delinquent,
    best_possible_dso,
    dso_count_back,
    dso_simple,
    shown,
)
from services.reporting.domain.exchange import aging_in_base, in_base
from services.reporting.domain.ratios import withheld_by_reason

AS_OF = date(2026, 3, 31)


def amount(minor: int, on: date, group: str = "", disputed: int = 0, currency: str = "EUR") -> OpenAmount:
    return OpenAmount(group, currency, on, minor, disputed)


def test_d1_aging_by_due_date_with_credits_apart() -> None:
    items = [
        amount(1000, date(2026, 3, 31)),
        amount(2000, date(2026, 3, 30)),
        amount(500, date(2026, 3, 1)),
        amount(700, date(2026, 2, 28)),
        amount(900, date(2025, 12, 31)),
        amount(300, date(2025, 12, 30)),
    ]
    (row,) = age(items, [OpenCredit("", "EUR", 400)], AS_OF)
    assert row.buckets == {
        "current": 1000, "1-30": 2500, "31-60": 700, "61-90": 900, "91-120": 300, "over_120": 0,
    }  # fmt: skip
    assert (row.gross_minor, row.credits_minor, row.net_minor, row.overdue_minor) == (5400, -400, 5000, 4400)


def test_bounds_of_buckets_are_inclusive() -> None:
    days = (-5, 0, 1, 30, 31, 60, 61, 90, 91, 120, 121)
    found = [bucket_of(day) for day in days]
    assert found == [
        "current", "current", "1-30", "1-30", "31-60", "31-60", "61-90", "61-90", "91-120", "91-120", "over_120",
    ]  # fmt: skip
    assert [bucket_of(day, "invoice") for day in (0, 30, 31, 121)] == ["0-30", "0-30", "31-60", "over_120"]


def test_d16_unapplied_cash_of_the_same_customer_is_not_netted_into_the_bucket() -> None:
    (row,) = age([amount(1000, date(2026, 3, 31))], [OpenCredit("", "EUR", 1000)], AS_OF)
    assert (row.buckets["current"], row.credits_minor, row.net_minor) == (1000, -1000, 0)


def test_d22_due_date_and_invoice_date_give_different_buckets() -> None:
    (by_due,) = age([amount(100, date(2026, 3, 11))], [], AS_OF)
    (by_invoice,) = age([amount(100, date(2026, 1, 10))], [], AS_OF, "invoice")
    assert (by_due.buckets["1-30"], by_invoice.buckets["61-90"]) == (100, 100)


def test_the_disputed_part_is_a_sub_column_and_never_more_than_what_remains() -> None:
    (row,) = age([amount(100, date(2026, 3, 1), disputed=150)], [], AS_OF)
    assert (row.buckets["1-30"], row.disputed["1-30"]) == (100, 100)


def test_groups_and_currencies_stay_apart() -> None:
    rows = age([amount(1, AS_OF, "DE"), amount(2, AS_OF, "DE", currency="USD"), amount(3, AS_OF, "AT")], [], AS_OF)
    assert [(r.group, r.currency, r.gross_minor) for r in rows] == [
        ("AT", "EUR", 3),
        ("DE", "EUR", 1),
        ("DE", "USD", 2),
    ]


def test_d2_dso_simple() -> None:
    assert shown(dso_simple(450_000, 1_350_000, 90)) == "30.0"


def test_negative_receivables_give_a_negative_dso() -> None:
    assert shown(dso_simple(-450_000, 1_350_000, 90)) == "-30.0"


def test_d4_count_back_takes_a_part_of_the_last_month() -> None:
    sales = {(2026, 1): 200, (2025, 12): 400, (2025, 11): 600, (2025, 10): 700, (2025, 9): 500}
    assert dso_count_back(2000, sales, date(2026, 1, 31)).days == 129


def test_count_back_counts_only_the_days_of_the_newest_month_that_have_come() -> None:
    sales = {(2026, 1): 50, (2025, 12): 310}
    assert dso_count_back(100, sales, date(2026, 1, 9)).days == 9 + 5
    assert dso_count_back(25, sales, date(2026, 1, 9)).days == Fraction(9, 2)
    assert dso_count_back(400, sales, date(2026, 1, 9)).text() == "> 40"


def test_d5_a_month_without_sales_adds_its_days() -> None:
    found = dso_count_back(300, {(2026, 3): 100, (2026, 2): 0, (2026, 1): 400}, date(2026, 3, 31))
    assert found.days == Fraction(149, 2)


def test_d5_history_that_ends_is_said() -> None:
    assert dso_count_back(300, {(2026, 3): 100, (2026, 2): 100}, date(2026, 3, 31)).text() == "> 59"


def test_d7_simple_best_possible_and_what_lies_between() -> None:
    dso, best = dso_simple(480_000, 6_000_000, 365), best_possible_dso(360_000, 6_000_000, 365)
    assert (shown(dso), shown(best), shown(average_days_delinquent(dso, best))) == ("29.2", "21.9", "7.3")


def test_d8_no_sales_is_not_zero_days() -> None:
    dso, best = dso_simple(10_000, 0, 90), best_possible_dso(10_000, 0, 90)
    assert (dso, best, average_days_delinquent(dso, best), shown(dso)) == (None, None, None, None)


def outcomes(status: str, promises: int, amount: int, received: int = 0, currency: str = "EUR") -> dict[str, object]:
    """Promises of one status and currency as the store sums them; `received` counts at most what was promised."""
    sums = {"amount_minor": amount, "received_minor": received}
    return {"status": status, "currency": currency, "promises": promises, **sums}


def test_promises_are_counted_when_matured_and_valued_up_to_what_was_promised() -> None:
    rows = [outcomes("kept", 1, 100, 100), outcomes("partly_kept", 1, 100, 50), outcomes("broken", 1, 200)]
    kept = promise_summary([*rows, outcomes("open", 1, 500), outcomes("cancelled", 1, 500)])
    assert (kept.kept_by_count, kept.kept_by_value, kept.open) == ("0.3333", "0.3750", 1)
    assert promise_summary([]).kept_by_count is None


def test_broken_promises_whose_cash_waits_are_counted_apart_and_stay_broken() -> None:
    rows = [outcomes("broken", 3, 300) | {"cash_waits": 2}, outcomes("partly_kept", 1, 100, 50) | {"cash_waits": 1}]
    kept = promise_summary([*rows, outcomes("kept", 1, 100, 100) | {"cash_waits": 0}])
    assert (kept.broken, kept.partly_kept, kept.cash_waits) == (3, 1, 3)


def test_promises_of_two_currencies_have_no_common_value() -> None:
    kept = promise_summary([outcomes("kept", 1, 100, 100), outcomes("broken", 1, 100, currency="USD")])
    assert (kept.kept_by_count, kept.kept_by_value) == ("0.5000", None)


def test_a_notice_withheld_for_two_reasons_counts_for_each() -> None:
    rows = withheld_by_reason([(["A", "B"], 1), (["A", "A"], 1), (["B"], 1)])
    assert [(r.code, r.notices, r.alone) for r in rows] == [("A", 2, 1), ("B", 2, 1)]


def test_base_amounts_follow_the_published_rate_in_either_direction() -> None:
    assert in_base(1250, "USD", "EUR", {"EUR/USD": "1.25"}.get) == 1000
    assert in_base(1000, "GBP", "EUR", {"GBP/EUR": "1.2"}.get) == 1200
    assert in_base(1250, "USD", "EUR", {}.get) is None
    assert in_base(1, "JPY", "EUR", {"EUR/JPY": "160"}.get) == 1


def test_without_a_rate_there_is_no_total_in_base() -> None:
    rows = age([amount(100, AS_OF), amount(100, AS_OF, currency="USD")], [], AS_OF)
    assert aging_in_base(rows, "EUR", {}.get) is None
    total = aging_in_base(rows, "EUR", {"EUR/USD": "2"}.get)
    assert total is not None and (total.gross_minor, total.currency) == (150, "EUR")
