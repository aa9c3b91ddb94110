"""Amounts in the base currency at a published rate. Without a rate there is no figure, never a guess."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from services.reporting.domain.aging import Aging
from shared.money import convert

RateOf = Callable[[str], str | None]
"""Pair such as `EUR/USD` (units of the second for one of the first) -> decimal text, None when none was published."""


def in_base(amount_minor: int, currency: str, base: str, rate_of: RateOf) -> int | None:
    """Minor units of `base`; None without a rate in either direction."""
    if currency == base:
        return amount_minor
    if (rate := rate_of(f"{base}/{currency}")) and Decimal(rate):
        return convert(amount_minor, currency, base, 1 / Decimal(rate))
    if rate := rate_of(f"{currency}/{base}"):
        return convert(amount_minor, currency, base, Decimal(rate))
    return None


def sum_in_base(amounts: Mapping[str, int], base: str, rate_of: RateOf) -> int | None:
    """Sum of amounts by currency; None when one that is not zero has no rate."""
    parts = [in_base(minor, currency, base, rate_of) for currency, minor in sorted(amounts.items()) if minor]
    return None if any(part is None for part in parts) else sum(part for part in parts if part is not None)


def aging_in_base(rows: Iterable[Aging], base: str, rate_of: RateOf) -> Aging | None:
    """All rows as one in the base currency, each row's figure rounded once; None when a rate is missing."""
    total: Aging | None = None
    for row in rows:
        changed = _converted(row, base, rate_of)
        if changed is None:
            return None
        total = changed if total is None else _plus(total, changed)
    return total


def _converted(row: Aging, base: str, rate_of: RateOf) -> Aging | None:
    figures = {("b", k): v for k, v in row.buckets.items()} | {("d", k): v for k, v in row.disputed.items()}
    figures["c", ""] = row.credits_minor
    found = {key: in_base(minor, row.currency, base, rate_of) for key, minor in figures.items()}
    if any(minor is None for minor in found.values()):
        return None
    known = {key: minor for key, minor in found.items() if minor is not None}
    return Aging(
        "",
        base,
        {k: known["b", k] for k in row.buckets},
        {k: known["d", k] for k in row.disputed},
        known["c", ""],
    )


def _plus(one: Aging, other: Aging) -> Aging:
    return Aging(
        "",
        one.currency,
        {k: one.buckets[k] + other.buckets[k] for k in one.buckets},
        {k: one.disputed[k] + other.disputed[k] for k in one.disputed},
        one.credits_minor + other.credits_minor,
    )
