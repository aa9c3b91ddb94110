"""Statements: whether one balances, how it relates to those already booked, and how far the unbroken chain reaches.

A statement that overlaps booked ones is either disjoint from them (it continues a closing balance: equal lines add),
or states them again (same number or balances: equal lines count by maximum), or neither can be proven: it is held.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal

from services.ingest.domain.fields import Body, Refused, day, minor, text
from shared.calendars import through_days_off
from shared.ids import derive
from shared.money import text as money_text

DAYS_MAX = 400
Mode = Literal["add", "maximum", "held"]


@dataclass(frozen=True, slots=True)
class Statement:
    """A head in minor units of the account's currency. `segment`: whose lines it states again, or itself.

    `flaw` says which balance cannot be read; it counts as missing.
    """

    statement_id: str
    number: str
    from_on: date
    to_on: date
    opening_minor: int | None
    closing_minor: int | None
    credits_minor: int = 0
    debits_minor: int = 0
    lines: int = 0
    segment: str = ""
    mode: Mode = "add"
    chained: bool = False
    day_ends: frozenset[tuple[date, int]] = frozenset()
    flaw: str = ""

    @property
    def balanced(self) -> bool:
        """Opening + credits − debits = closing, both balances given."""
        if self.opening_minor is None or self.closing_minor is None:
            return False
        return self.opening_minor + self.credits_minor - self.debits_minor == self.closing_minor

    @property
    def moves(self) -> bool:
        return self.opening_minor != self.closing_minor


@dataclass(frozen=True, slots=True)
class Relation:
    """How equal lines count. `covers` are the segments that are stated again (mode maximum)."""

    mode: Mode
    segment: str
    covers: tuple[str, ...] = ()
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """The unbroken chain of an account: its last day, closing balance and number; None before the first statement."""

    through_on: date | None = None
    closing_minor: int | None = None
    number: str = ""


def read(company: str, bank_account: str, currency: str, body: Body) -> Statement:
    """Head of a statement. Raises Refused when it has no date, or sums that cannot be read."""
    from_on, to_on = span(body)
    opening, flaw = _readable(body, currency, "opening")
    closing, flaw_behind = _readable(body, currency, "closing")
    credits, debits = (minor(body.get(name, "0"), currency, name) for name in ("credits", "debits"))
    head = Statement(
        statement_id="",
        number=text(body, "number"),
        from_on=from_on,
        to_on=to_on,
        opening_minor=opening,
        closing_minor=closing,
        credits_minor=credits,
        debits_minor=debits,
        lines=int(body.get("lines", 0)),
        flaw=flaw or flaw_behind,
    )
    identity = statement_id(company, bank_account, text(body, "id"), head)
    return with_days(replace(head, statement_id=identity, segment=identity), currency, body.get("days") or {})


def span(body: Body) -> tuple[date, date]:
    """First and last day of a statement. Raises Refused when no date can be read."""
    to_on = _first_day(body, ("closing", "on"), ("last_booked_on",), ("to",), ("opening", "on"))
    if to_on is None:
        raise Refused("missing", "closing", "the statement has neither balances nor entries with a date")
    from_on = day(body, "from") or day(body, "first_booked_on") or to_on
    first_booked = day(body, "first_booked_on") or to_on
    return (min(from_on, first_booked, to_on) if from_on <= to_on else min(first_booked, to_on)), to_on


def with_days(head: Statement, currency: str, days: Body) -> Statement:
    """The statement with its balance at the end of each of its days, from its own signed sums per day."""
    sums = {date.fromisoformat(on): minor(amount, currency, "days", signed=True) for on, amount in days.items()}
    return replace(head, day_ends=frozenset(_day_ends(head, sums)))


def statement_id(company: str, bank_account: str, printed_id: str, head: Statement) -> str:
    """Identity of a statement: what it says of itself, so that the same one in another file is the same."""
    balances = (head.opening_minor, head.closing_minor, head.credits_minor, head.debits_minor, head.lines)
    days = (head.from_on, head.to_on)
    flaw = [head.flaw] if head.flaw else []
    return str(derive("statement", company, bank_account, printed_id, head.number, *days, *balances, *flaw))


def _first_day(body: Body, *paths: tuple[str, ...]) -> date | None:
    for path in paths:
        holder: Any = body
        for name in path[:-1]:
            holder = holder.get(name) or {}
        if (found := day(holder, path[-1])) is not None:
            return found
    return None


def _readable(body: Body, currency: str, name: str) -> tuple[int | None, str]:
    """A balance, and what is wrong with it where it cannot be read."""
    try:
        return _balance(body.get(name), currency, name), ""
    except Refused as refused:
        return None, str(refused)


def _balance(balance: Body | None, currency: str, name: str) -> int | None:
    """Signed minor units; None when the balance is missing or in another currency."""
    if not balance or not balance.get("amount") or balance.get("currency") != currency:
        return None
    return minor(balance["amount"], currency, name, signed=True)


def overlapping(new: Statement, booked: Iterable[Statement]) -> list[Statement]:
    """Booked statements that share a day with `new`."""
    return [other for other in booked if other.from_on <= new.to_on and new.from_on <= other.to_on]


def relate(new: Statement, booked: Sequence[Statement], *, equal_lines: bool) -> Relation:
    """How `new` counts beside the booked statements that share a day with it.

    `equal_lines` says whether any line of `new` is already booked: without one both readings give the same.
    Where `new` does not balance, its balances prove no continuation: one of them is wrong.
    """
    same_days = overlapping(new, booked)
    if not same_days:
        return Relation("add", new.segment)
    twin, joins = _twin(new, same_days), _joins(new, same_days)
    anchored = _anchored(new, same_days)
    continues = joins and (new.balanced or not equal_lines)
    if continues and (_numbered_next(new, same_days) or not (twin or anchored)):
        return Relation("add", new.segment)
    if twin is not None and not joins:
        apart = _linked(twin, [other for other in same_days if other is not twin])
        covers = {other.segment for other in same_days if other not in apart}
        return Relation("maximum", twin.segment, tuple(sorted(covers)))
    if anchored and not joins:
        return Relation("maximum", new.segment, tuple(sorted({other.segment for other in same_days})))
    if not equal_lines:
        return Relation("add", new.segment)
    reason = "overlaps booked statements and neither number nor balances prove whether it repeats or continues them"
    return Relation("held", new.segment, code="overlap", reason=reason)


def _twin(new: Statement, others: Sequence[Statement]) -> Statement | None:
    """The statement that `new` states again: same number, or same days and balances."""
    for other in others:
        same_number = bool(new.number) and new.number == other.number
        if same_number and (new.opening_minor == other.opening_minor or not _continues(new, other)):
            return other
    for other in others:
        balances = (new.opening_minor, new.closing_minor) == (other.opening_minor, other.closing_minor)
        if balances and None not in (new.opening_minor, new.closing_minor) and new.to_on == other.to_on:
            return other
    return None


def _continues(new: Statement, other: Statement) -> bool:
    if None in (new.opening_minor, new.closing_minor, other.opening_minor, other.closing_minor):
        return False
    return new.opening_minor == other.closing_minor or new.closing_minor == other.opening_minor


def _joins(new: Statement, others: Sequence[Statement]) -> bool:
    """Whether every one of `others` is linked with `new` by balances that continue each other.

    A statement of the same number and opening is a re-issue whatever its closing balance continues.
    """
    if any(new.number and new.number == o.number and new.opening_minor == o.opening_minor for o in others):
        return False
    return len(_linked(new, others)) == len(others) and any(_continues(new, other) for other in others)


def _linked(start: Statement, others: Sequence[Statement]) -> list[Statement]:
    """Those of `others` that lie before or behind `start` in a row of balances, each continuing the next."""
    linked, waiting = [start], list(others)
    while found := [other for other in waiting if any(_continues(other, part) for part in linked)]:
        linked += found
        waiting = [other for other in waiting if other not in found]
    return linked[1:]


def _numbered_next(new: Statement, others: Sequence[Statement]) -> bool:
    """Whether `new` has the number behind one whose closing balance it continues."""
    if not new.number.isdecimal():
        return False
    before = [o for o in others if o.number.isdecimal() and int(o.number) + 1 == int(new.number)]
    return any(other.closing_minor == new.opening_minor for other in before)


def _anchored(new: Statement, others: Sequence[Statement]) -> bool:
    """Whether a start or end of one is a point inside or at the same end of the other: both state the same lines."""
    return any(_meets(new, other) or _meets(other, new) for other in others)


def _meets(inner: Statement, outer: Statement) -> bool:
    """Whether `inner` starts with `outer` or at the end of one of its days, or ends so."""
    start = (inner.from_on - timedelta(days=1), inner.opening_minor)
    end = (inner.to_on, inner.closing_minor)
    if inner.opening_minor is not None:
        if (inner.from_on, inner.opening_minor) == (outer.from_on, outer.opening_minor) or start in outer.day_ends:
            return True
    same_end = end == (outer.to_on, outer.closing_minor) or end in outer.day_ends
    return inner.closing_minor is not None and same_end


def _day_ends(statement: Statement, booked_by_day: dict[date, int]) -> set[tuple[date, int]]:
    """Balances at the ends of the days of a statement of several days."""
    if statement.opening_minor is None or statement.from_on == statement.to_on:
        return set()
    found, balance, on = set(), statement.opening_minor, statement.from_on
    while on <= statement.to_on and len(found) < DAYS_MAX:
        balance += booked_by_day.get(on, 0)
        found.add((on, balance))
        on += timedelta(days=1)
    return found


def extend(chain: Chain, candidates: Sequence[Statement]) -> tuple[Chain, list[str]]:
    """The chain with every candidate that continues it, and the ids of those that now lie on it."""
    on_chain: list[str] = []
    waiting = sorted((c for c in candidates if c.balanced), key=lambda c: (c.from_on, c.to_on, _order(c.number)))
    while waiting:
        following = next((c for c in waiting if follows(chain, c)), None)
        if following is None:
            return chain, on_chain
        waiting.remove(following)
        on_chain.append(following.statement_id)
        through = max(following.to_on, chain.through_on or following.to_on)
        chain = Chain(through, following.closing_minor, following.number or chain.number)
    return chain, on_chain


def follows(chain: Chain, new: Statement) -> bool:
    """Whether `new` continues the chain: from its closing balance without a missing number, or over its last day."""
    if chain.through_on is None:
        return True
    if new.to_on < chain.through_on:
        return False
    if new.opening_minor == chain.closing_minor:
        return not number_missing(chain, new)
    restates = new.mode == "maximum" and new.from_on <= chain.through_on
    return restates and new.to_on > chain.through_on


def number_missing(chain: Chain, new: Statement) -> bool:
    """Whether a number lies between the chain and `new`; numbers may begin again with a year or at one."""
    if not (chain.number.isdecimal() and new.number.isdecimal()):
        return False
    return int(new.number) > int(chain.number) + 1


def _order(number: str) -> int:
    return int(number) if number.isdecimal() else 0


def gap(chain: Chain, new: Statement, currency: str) -> tuple[str, str] | None:
    """Expected and found, in words, when `new` lies behind the chain without continuing it; None when it does."""
    if chain.through_on is None or new.to_on < chain.through_on or follows(chain, new):
        return None
    if not new.balanced and new.opening_minor == chain.closing_minor:
        return None
    number = str(int(chain.number) + 1) if chain.number.isdecimal() else "any"
    return (
        f"number {number} with opening balance {_shown(chain.closing_minor, currency)}",
        f"number {new.number or 'none'} with opening balance {_shown(new.opening_minor, currency)}",
    )


def _shown(amount_minor: int | None, currency: str) -> str:
    return "none" if amount_minor is None else f"{money_text(amount_minor, currency)} {currency}"


def complete_through_on(chain: Chain, calendar: str) -> date | None:
    """How far bank data reach: the chain's last day and the non-banking days behind it."""
    return through_days_off(chain.through_on, calendar) if chain.through_on else None
