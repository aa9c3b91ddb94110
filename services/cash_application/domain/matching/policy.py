"""The matching policy: the bounds within which a payment may be applied without a person.

Read from the content of an activated `matching` policy; whatever the file leaves out has the cautious default below.
`sha256` is the hash of the activated content and stands in every certificate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from hashlib import sha256
from json import dumps
from typing import Any

SHORT = ("partial", "suggest")
SHORT_SEVERAL = ("suggest", "oldest_first")
OVERPAYMENT = ("unapplied", "on_account")
DEDUCTION = ("deduct", "residual")


class PolicyInvalid(ValueError):
    """The matching policy has a value that is not allowed; the message names the field and what it may be."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Small differences up to `absolute_minor` *and* up to `per_mille` of the open sum, both bounds inclusive."""

    absolute_minor: int = 0
    per_mille: int = 0

    def covers(self, difference_minor: int, of_minor: int) -> bool:
        """True if a difference of this size may be booked as small."""
        return 0 < difference_minor <= self.absolute_minor and difference_minor * 1000 <= self.per_mille * of_minor


NO_TOLERANCE = Tolerance()


@dataclass(frozen=True, slots=True)
class Policy:
    """All settings of the engine. `tolerance` and `over_tolerance` are by currency; a currency not named has none."""

    name: str = "matching"
    version: str = "1"
    sha256: str = ""
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    over_tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    lambda_max: Fraction = Fraction(1, 1000)
    subset_items_max: int = 4
    subset_candidates_max: int = 120
    alternatives_max: int = 5
    closing_only: frozenset[str] = frozenset({"small_difference", "exact_amount", "oldest_first"})
    short: str = "partial"
    short_several: str = "suggest"
    overpayment: str = "unapplied"
    deduction: str = "deduct"
    discount_grace_days: int = 0
    name_is_witness: bool = True
    amount_witness_against_payer: bool = False
    duplicate_days: int = 5
    suffix_digits_min: int = 5
    amount_accounts_max: int = 20

    @property
    def label(self) -> str:
        """`name@version`, as events and certificates name a policy."""
        return f"{self.name}@{self.version}"

    def tolerance_for(self, currency: str) -> Tolerance:
        """Bounds for a payment that is a little short."""
        return self.tolerance.get(currency, NO_TOLERANCE)

    def over_tolerance_for(self, currency: str) -> Tolerance:
        """Bounds for a payment that is a little too high; none unless the policy opens them."""
        return self.over_tolerance.get(currency, NO_TOLERANCE)


def read_policy(content: Mapping[str, Any], version: str, sha256_hex: str | None = None) -> Policy:
    """Policy from the content of `policy.activated`. Raises PolicyInvalid with the field and what is allowed.

    `tolerance` and `over_tolerance`: {currency: {"absolute_minor": int, "per_mille": int}}; `lambda_max`: decimal
    string; all other fields as in `Policy`. Unknown fields are refused: a misspelt bound must not be a missing one.
    """
    known = {f.name for f in fields(Policy)} - {"name", "version", "sha256"}
    unknown = sorted(set(content) - known - {"name"})
    if unknown:
        raise PolicyInvalid(f"matching policy: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
    values = {key: _read(key, value) for key, value in content.items() if key != "name"}
    digest = sha256_hex or sha256(dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return Policy(version=version, sha256=digest, **values)


_CHOICES = {"short": SHORT, "short_several": SHORT_SEVERAL, "overpayment": OVERPAYMENT, "deduction": DEDUCTION}
_FLAGS = ("name_is_witness", "amount_witness_against_payer")


def _read(key: str, value: Any) -> Any:
    if key in ("tolerance", "over_tolerance"):
        _allowed(key, value, isinstance(value, Mapping), "bounds per currency")
        return {currency: _read_tolerance(key, currency, bounds) for currency, bounds in value.items()}
    if key in _CHOICES:
        return _allowed(key, value, value in _CHOICES[key], "one of " + ", ".join(_CHOICES[key]))
    if key in _FLAGS:
        return _allowed(key, value, isinstance(value, bool), "true or false")
    if key == "lambda_max":
        return _read_chance(value)
    if key == "closing_only":
        listed = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return frozenset(_allowed(key, value, listed, "a list of names"))
    return _allowed(key, value, type(value) is int and value >= 0, "a whole number, 0 or more")


def _read_tolerance(key: str, currency: str, bounds: Mapping[str, int]) -> Tolerance:
    named = isinstance(bounds, Mapping) and set(bounds) == {"absolute_minor", "per_mille"}
    sound = named and all(type(bound) is int and bound >= 0 for bound in bounds.values())
    _allowed(f"{key}.{currency}", bounds, sound, "absolute_minor and per_mille, whole numbers, 0 or more")
    return Tolerance(bounds["absolute_minor"], bounds["per_mille"])


def _read_chance(value: Any) -> Fraction:
    _allowed(
        "lambda_max", value, isinstance(value, str) and value.replace(".", "", 1).isdigit(), 'a string like "0.001"'
    )
    chance = Fraction(value)
    return _allowed("lambda_max", chance, chance < 1, "below 1")


def _allowed(key: str, value: Any, sound: bool, expected: str) -> Any:
    if not sound:
        raise PolicyInvalid(f"matching policy: {key} is {value!r}, it must be {expected}")
    return value
