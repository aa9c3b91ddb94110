"""What holds for one company on one business date: calendar, zone, rates, and the policies in effect with their labels.

A policy that was not activated is None and has no effect.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.collections.domain.policy import DunningPolicy, HoldPolicy
from shared import money


@dataclass(frozen=True, slots=True)
class Rules:
    """`rate(pair)` is the published rate of `AAA/BBB` on the date: units of BBB for one AAA, as decimal text."""

    company: str
    on: date
    calendar: str
    zone: str
    base_currency: str
    dunning: DunningPolicy | None = None
    dunning_label: str = ""
    holds: HoldPolicy | None = None
    holds_label: str = ""
    rate: Callable[[str], str | None] = lambda pair: None

    def in_base(self, amount_minor: int, currency: str) -> int | None:
        """Minor units of the base currency, None while no rate of the pair was published."""
        if currency == self.base_currency:
            return amount_minor
        if (direct := self.rate(f"{currency}/{self.base_currency}")) is not None:
            return money.convert(amount_minor, currency, self.base_currency, Decimal(direct))
        if (inverse := self.rate(f"{self.base_currency}/{currency}")) is not None:
            return money.convert(amount_minor, currency, self.base_currency, 1 / Decimal(inverse))
        return None
