"""Days sales outstanding and its kin. Every ratio is a Decimal with one digit, or None where there is none.

Receivables are net of credits and cash on no item; sales are invoiced amounts with tax, less credit memos.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

Month = tuple[int, int]


def shown(value: Fraction | None, digits: int = 1) -> str | None:
    """Decimal text with so many digits, half up; None stays None."""
    if value is None:
        return None
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP):f}"


def dso_simple(receivables_minor: int, sales_minor: int, days: int) -> Fraction | None:
    """Receivables at the end / credit sales of the period x its days. No sales: None. Negative receivables stay so."""
    return Fraction(receivables_minor * days, sales_minor) if sales_minor > 0 else None


def best_possible_dso(current_minor: int, sales_minor: int, days: int) -> Fraction | None:
    """The part of DSO that is not due yet."""
    return dso_simple(current_minor, sales_minor, days)


def average_days_delinquent(dso: Fraction | None, best_possible: Fraction | None) -> Fraction | None:
    """ADD = DSO - BPDSO."""
    return None if dso is None or best_possible is None else dso - best_possible


@dataclass(frozen=True, slots=True)
class CountBack:
    """`exceeds` is True when the known months do not use up the receivables: then the figure is `> days`."""

    days: Fraction
    exceeds: bool = False

    def text(self) -> str:
        return f"> {shown(self.days, 0)}" if self.exceeds else shown(self.days) or ""


def dso_count_back(receivables_minor: int, sales_by_month: Mapping[Month, int], on: date) -> CountBack:
    """Months' sales are taken from receivables, newest first; a whole month counts all its days, the last its part.

    The month of `on` counts the days that have come: its sales were made in those.

    A month with no or negative sales counts its days and takes nothing. Months before the first known end the count.
    """
    newest = month_of(on)
    left, days, month = receivables_minor, Fraction(0), newest
    first = min(sales_by_month, default=newest)
    while left > 0:
        if month < first or not sales_by_month:
            return CountBack(days, exceeds=True)
        length = on.day if month == newest else monthrange(*month)[1]
        sales = sales_by_month.get(month, 0)
        if 0 < left < sales:
            return CountBack(days + Fraction(left * length, sales))
        days += length
        left -= max(sales, 0)
        month = previous(month)
    return CountBack(days)


def previous(month: Month) -> Month:
    """The month before."""
    year, number = month
    return (year, number - 1) if number > 1 else (year - 1, 12)


def month_of(day: date) -> Month:
    return day.year, day.month
