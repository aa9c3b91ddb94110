"""Reading fields of a neutral record: text, dates, amounts, lists. A field that cannot be read refuses the record.

Amounts are decimal text and become minor units here; a JSON number with a point is no amount.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.events.codec import encode
from shared.money import MoneyError, minor_digits, to_minor

Body = Mapping[str, Any]
Model = TypeVar("Model", bound=BaseModel)
TEXT_CHARS_MAX = 4_000
FACT_BYTES_MAX = 880_000
"""Encoded size of one fact; the outbox takes 900,000 bytes."""


class Refused(Exception):
    """A record that is not taken: stable code, field, and why in one sentence; `waits_for` names what would help."""

    def __init__(self, code: str, field: str, reason: str, waits_for: str = "") -> None:
        super().__init__(f"{field}: {reason}")
        self.code, self.field, self.reason, self.waits_for = code, field, reason, waits_for


def text(body: Body, name: str, default: str = "") -> str:
    """Text of a field; numbers of JSON are taken as their text."""
    value = body.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refused("not_text", name, "the field holds neither text nor a whole number")
    found = str(value).strip()
    if len(found) > TEXT_CHARS_MAX:
        raise Refused("too_long", name, f"the text has more than {TEXT_CHARS_MAX} characters")
    return found or default


def required(body: Body, name: str) -> str:
    if not (found := text(body, name)):
        raise Refused("missing", name, "the field is missing or empty")
    return found


def day(body: Body, name: str) -> date | None:
    """ISO date or None when empty."""
    found = text(body, name)
    if not found:
        return None
    try:
        if len(found) != 10:
            raise ValueError
        return date.fromisoformat(found)
    except ValueError:
        raise Refused("date_not_valid", name, f"{found!r} is not a date; write it like 2026-03-31") from None


def required_day(body: Body, name: str) -> date:
    if (found := day(body, name)) is None:
        raise Refused("missing", name, "the date is missing")
    return found


def currency(body: Body, name: str = "currency") -> str:
    """Currency code that is in the ISO list and has a minor unit."""
    code = required(body, name)
    try:
        minor_digits(code)
    except MoneyError as error:
        raise Refused("currency_unknown", name, str(error)) from None
    return code


def minor(value: Any, in_currency: str, name: str, *, signed: bool = False) -> int:
    """Minor units of decimal text. Refuses floats, too many decimals and, unless `signed`, negative amounts."""
    if isinstance(value, float | bool) or not isinstance(value, str | int):
        raise Refused("amount_not_text", name, 'write the amount as text with a point, like "1234.56"')
    try:
        amount = to_minor(value, in_currency)
    except MoneyError as error:
        code = "too_many_decimals" if "more decimals" in str(error) else "amount_not_valid"
        raise Refused(code, name, str(error)) from None
    if amount < 0 and not signed:
        raise Refused("negative_amount", name, f"{value} is negative; the type of the record says the direction")
    return amount


def amount(body: Body, name: str, in_currency: str, default: int | None = None) -> int:
    """Minor units of a field; `default` stands for an empty one, else the field is required."""
    if body.get(name) in (None, ""):
        if default is None:
            raise Refused("missing", name, "the amount is missing")
        return default
    return minor(body[name], in_currency, name)


def listed(body: Body, name: str) -> list[str]:
    """A list, or a cell with `;` between its entries."""
    value = body.get(name)
    if value in (None, ""):
        return []
    if isinstance(value, str):
        return [part for entry in value.split(";") if (part := entry.strip())]
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return [part for entry in value if (part := entry.strip())]
    raise Refused("not_a_list", name, "the field is neither a list of texts nor text with ';' between entries")


def pairs(body: Body, name: str, left: str, right: str) -> list[tuple[str, Any]]:
    """Pairs of a cell `LEFT=RIGHT;…` or of a list of objects with the fields `left` and `right`."""
    value = body.get(name)
    if value in (None, ""):
        return []
    if isinstance(value, str):
        return [_cut(entry, name) for entry in listed(body, name)]
    if isinstance(value, list) and all(isinstance(entry, dict) and {left, right} <= set(entry) for entry in value):
        return [(str(entry[left]), entry[right]) for entry in value]
    raise Refused("not_a_list", name, f"write a list of objects with {left!r} and {right!r}")


def _cut(entry: str, name: str) -> tuple[str, str]:
    left, sign, right = entry.partition("=")
    if not sign:
        raise Refused("pair_not_valid", name, f"{entry!r} has no '='; write {name} like LEFT=RIGHT;LEFT=RIGHT")
    return left.strip(), right.strip()


def yes_no(body: Body, name: str, default: bool) -> bool:
    value = body.get(name)
    if isinstance(value, bool):
        return value
    known = {"": default, "true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
    found = text(body, name).lower()
    if found not in known:
        raise Refused("not_yes_or_no", name, f"{found!r} is neither true nor false")
    return known[found]


def build(model: type[Model], **values: Any) -> Model:
    """An event model of checked values. Refuses with the first field that does not fit it, or for its encoded size."""
    try:
        made = model(**values)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused("not_valid", place, str(first["msg"])) from None
    if (size := len(encode(made))) > FACT_BYTES_MAX:
        raise Refused("too_large", "record", f"its event has {size} bytes, {FACT_BYTES_MAX} are the bound; send less")
    return made
