"""Exchange rates of the quarter: units of USD and GBP for one EUR, one per TARGET business day.

Rates are decimal strings with four places, walked in steps of a few hundredths of a cent.
"""

from datetime import date
from decimal import Decimal
from random import Random

from sample.business_days import Timeline, following, step

START = {"EUR/USD": 11_740, "EUR/GBP": 8_690}
SOURCE = "ECB"


def make_rates(seed: int, timeline: Timeline) -> dict[date, dict[str, str]]:
    """Rates of every business day from the oldest document to the last day of the run."""
    rng = Random(f"{seed}:rates")
    on, now = following(timeline.history_from), dict(START)
    rates = {}
    while on <= timeline.last:
        rates[on] = {pair: f"{ticks // 10_000}.{ticks % 10_000:04d}" for pair, ticks in now.items()}
        now = {pair: max(5_000, ticks + rng.randint(-45, 45)) for pair, ticks in now.items()}
        on = step(on, 1)
    return rates


def base_minor(amount_minor: int, currency: str, rates: dict[str, str]) -> int:
    """The amount in EUR cents at the day's rate, halves up."""
    if currency == "EUR":
        return amount_minor
    return int(Decimal(amount_minor) / Decimal(rates[f"EUR/{currency}"]) + Decimal("0.5"))
