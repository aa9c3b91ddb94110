"""Base amounts: every line carries the company's base currency at its date's published rate, from the first entry.

The rate is the latest one published on or before the date and before the business day. Amounts step cumulatively, so
that the last step takes the rest and nothing of a rounding is left behind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from shared.money import convert

Lookup = Callable[[str, str, date], str | None]
"""(company, pair `EUR/USD`, date) -> decimal text of the latest rate on or before the date."""


ONE_DAY = timedelta(days=1)


class RateMissing(ValueError):
    """No rate is known for a currency; the text names the pair and what to do. What is parked for it has the code."""

    code = "rate_missing"


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of base for one unit of `currency`; `factor` is None where the two are the same."""

    currency: str
    base_currency: str
    factor: Decimal | None = None
    rate_id: str = ""

    def base(self, amount_minor: int) -> int:
        """Minor units of base, rounded once."""
        if self.factor is None:
            return amount_minor
        return convert(amount_minor, self.currency, self.base_currency, self.factor)

    def step(self, before_minor: int, after_minor: int) -> int:
        """Base of going from one cumulative amount to another."""
        if self.factor is None:
            return after_minor - before_minor
        return self.base(after_minor) - self.base(before_minor)


class Exchange:
    """Rates of one batch. `lookup` reads what was published; answers are remembered."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._known: dict[tuple[str, str, str, date], Rate | None] = {}

    def rate(self, company: str, currency: str, base: str, on: date, business_date: date) -> Rate:
        """Rate of a date, of the day before the business day at the latest. Raises RateMissing.

        A rate of the business day itself may still be on its way beside the fact, so it counts only where none is
        older: the same facts give the same base amounts whatever comes first.
        """
        if currency == base:
            return Rate(currency, base)
        for day in (min(on, business_date - ONE_DAY), business_date):
            key = (company, currency, base, day)
            if key not in self._known:
                self._known[key] = self._find(*key)
            if found := self._known[key]:
                return found
        raise RateMissing(
            f"no rate {base}/{currency} or {currency}/{base} of {company} is published on or before {business_date}; "
            "publish one and what waits is run again"
        )

    def _find(self, company: str, currency: str, base: str, on: date) -> Rate | None:
        if text := self._lookup(company, f"{currency}/{base}", on):
            return Rate(currency, base, Decimal(text), f"{currency}/{base}@{on}={text}")
        if text := self._lookup(company, f"{base}/{currency}", on):
            return Rate(currency, base, 1 / Decimal(text), f"{base}/{currency}@{on}={text}")
        return None
