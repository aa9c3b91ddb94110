"""Minor units and exchange as the auditor computes them, by tables of its own."""

from decimal import ROUND_HALF_UP, Decimal

WITHOUT_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
WITH_THREE = frozenset("BHD IQD JOD KWD LYD OMR TND".split())


def digits(currency: str) -> int:
    """Digits after the point."""
    if currency in WITHOUT_DECIMALS:
        return 0
    return 3 if currency in WITH_THREE else 2


def to_minor(amount: str, currency: str) -> int:
    """Minor units of a decimal text. Raises ValueError when it has more decimals than the currency."""
    scaled = Decimal(amount.strip()).scaleb(digits(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more decimals than {currency}")
    return int(scaled)


def convert(amount_minor: int, currency: str, base: str, rate: Decimal) -> int:
    """Minor units of `base`; `rate` is units of base for one unit of `currency`."""
    shift = digits(base) - digits(currency)
    return int((Decimal(amount_minor) * rate).scaleb(shift).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def show(amount_minor: int, currency: str) -> str:
    """For people, such as `1,234.50 EUR`."""
    places = digits(currency)
    return f"{Decimal(amount_minor).scaleb(-places):,.{places}f} {currency}"
