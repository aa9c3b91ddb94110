"""Money is integer minor units beside an ISO 4217 code; decimals exist only while a number is read or shown.

Rounding is (HALF_UP away from zero, once, at posting; allocation by largest remainder).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Literal

import iso4217

AMOUNT_MINOR_MAX = 10**15
Rounding = Literal["HALF_UP", "HALF_EVEN"]
_MODES = {"HALF_UP": ROUND_HALF_UP, "HALF_EVEN": ROUND_HALF_EVEN}
_WITHOUT_UNITS = frozenset({"XAU", "XXX", "XTS"})


class MoneyError(ValueError):
    """An amount or currency that is refused; the text names it and says why."""


@cache
def minor_digits(currency: str) -> int:
    """Digits after the point of `currency`. Raises MoneyError for a code that is not in the ISO list or has none."""
    try:
        exponent = iso4217.Currency(currency).exponent
    except ValueError:
        raise MoneyError(
            f"currency {currency!r} is not in the ISO 4217 list; use a current three-letter code"
        ) from None
    if exponent is None or currency in _WITHOUT_UNITS:
        raise MoneyError(f"currency {currency!r} has no minor unit and cannot be invoiced or paid")
    return exponent


def to_minor(amount: str | Decimal | int, currency: str) -> int:
    """Minor units of a decimal amount. Raises MoneyError for text that is no number or has too many decimals."""
    try:
        value = Decimal(amount.strip()) if isinstance(amount, str) else Decimal(amount)
    except InvalidOperation:
        raise MoneyError(f"{amount!r} is not a decimal number; write it like 1234.56") from None
    if not value.is_finite():
        raise MoneyError(f"{amount!r} is not a finite number")
    scaled = value.scaleb(minor_digits(currency))
    if scaled != scaled.to_integral_value():
        raise MoneyError(f"{amount} has more decimals than {currency} allows ({minor_digits(currency)})")
    if abs(scaled) > AMOUNT_MINOR_MAX:
        raise MoneyError(f"{amount} {currency} is beyond the largest amount that is taken")
    return int(scaled)


def to_decimal(amount_minor: int, currency: str) -> Decimal:
    """Decimal amount with exactly the currency's digits."""
    return Decimal(amount_minor).scaleb(-minor_digits(currency))


def text(amount_minor: int, currency: str) -> str:
    """Plain text such as `1234.50`, without grouping or code."""
    return f"{to_decimal(amount_minor, currency):f}"


def rounded(value: Decimal, mode: Rounding = "HALF_UP") -> int:
    """Nearest integer, ties away from zero by default."""
    return int(value.quantize(Decimal(1), rounding=_MODES[mode]))


def convert(amount_minor: int, currency: str, base: str, rate: Decimal) -> int:
    """Minor units in `base` of an amount, `rate` = units of base for one unit of currency, rounded HALF_UP once."""
    shift = minor_digits(base) - minor_digits(currency)
    return rounded((Decimal(amount_minor) * rate).scaleb(shift))


def allocate(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Parts of `total_minor` in proportion to non-negative weights; leftovers by largest remainder, ties by index.

    The parts always sum to the total. Raises ValueError when there is no positive weight.
    """
    weight_sum = sum(weights)
    if weight_sum <= 0 or min(weights) < 0:
        raise ValueError("allocation needs weights of zero or more with a positive sum")
    sign, size = (-1, -total_minor) if total_minor < 0 else (1, total_minor)
    parts = [size * weight // weight_sum for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: (-(size * weights[index] % weight_sum), index))
    for index in order[: size - sum(parts)]:
        parts[index] += 1
    return [sign * part for part in parts]


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency. Adding or comparing two currencies raises MoneyError."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        minor_digits(self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount_minor + self._same(other).amount_minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount_minor - self._same(other).amount_minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount_minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount_minor < self._same(other).amount_minor

    def __str__(self) -> str:
        return f"{text(self.amount_minor, self.currency)} {self.currency}"

    def _same(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise MoneyError(f"{self.currency} and {other.currency} cannot be added or compared without a rate")
        return other
