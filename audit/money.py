"""Minor units and exchange as the auditor computes them, by tables of its own."""

import re
from decimal import ROUND_HALF_UP, Decimal

_AMOUNT = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,10})?|[+-]?\.[0-9]{1,10}")
SHOWN_CHARS_MAX = 40
WITHOUT_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
WITH_THREE = frozenset("BHD IQD JOD KWD LYD OMR TND".split())


def digits(currency: str) -> int:
    """Digits after the point."""
    if currency in WITHOUT_DECIMALS:
        return 0
    return 3 if currency in WITH_THREE else 2


def to_minor(amount: str, currency: str) -> int:
    """Minor units of a decimal text. Raises ValueError, with both named, when it is no amount of the currency."""
    scaled = decimal_of(amount, currency).scaleb(digits(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more decimals than {currency}")
    return int(scaled)


def decimal_of(amount: str, currency: str) -> Decimal:
    """A plain decimal text as a number. Raises ValueError, with both named."""
    text = amount.strip()
    if _AMOUNT.fullmatch(text) is None:
        raise ValueError(f"{text[:SHOWN_CHARS_MAX]!r} is no amount in {currency or 'a currency that is not named'}")
    return Decimal(text)


def convert(amount_minor: int, currency: str, base: str, rate: Decimal) -> int:
    """Minor units of `base`; `rate` is units of base for one unit of `currency`."""
    shift = digits(base) - digits(currency)
    return int((Decimal(amount_minor) * rate).scaleb(shift).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def show(amount_minor: int, currency: str) -> str:
    """For people, such as `1,234.50 EUR`."""
    places = digits(currency)
    return f"{Decimal(amount_minor).scaleb(-places):,.{places}f} {currency}"
