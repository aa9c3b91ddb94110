"""Puts a payment on the items that it names: exact, with discount or bank charge, small difference, over, or short.

Invariant: no item gets more relief than is open of it, and signed cash + left + gain is the money that came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from services.cash_application.domain.matching.case import Case
from services.cash_application.domain.matching.combinations import search
from services.cash_application.domain.matching.instalments import (
    by_document,
    in_due_order,
    oldest_of_each,
    only_exact,
    too_early,
    whole_ones,
)
from services.cash_application.domain.matching.model import CREDIT, DEBIT, Application, ItemView, Reason

EXACT_KINDS = frozenset({"exact", "instalment", "discount", "bank_charge", "discount_and_charge"})


@dataclass(frozen=True, slots=True)
class Settlement:
    """How the money goes on the items. `reason` is set when it must not be posted (then it is what could be)."""

    kind: str
    applications: tuple[Application, ...]
    left_minor: int = 0
    gain_minor: int = 0
    flags: tuple[str, ...] = ()
    reason: Reason | None = None

    @property
    def explains_amount(self) -> bool:
        """The payment equals the open sum of the items (after earned discount, before a stated bank charge)."""
        return self.kind in EXACT_KINDS


def application(item: ItemView, cash_minor: int, **relief: int) -> Application:
    """Relief of an item in the state in which it was seen."""
    return Application(
        item.item_id,
        item.document_id,
        item.account_id,
        item.side,
        item.version,
        item.posting_hash,
        cash_minor=cash_minor,
        **relief,
    )


def settle(case: Case, items: Sequence[ItemView]) -> Settlement:
    """Settlement of open items in the payment's currency that the payer names together. `items` is not empty."""
    total = sum(item.signed_minor for item in items)
    short = total - case.available_minor
    if total <= 0:
        return Settlement("credits_exceed", (), case.available_minor, reason=Reason.DESIGNATION_INCONSISTENT)
    return (
        _exact(case, items, short)
        or _instalments(case, items)
        or (_over(case, items, -short) if short < 0 else None)
        or _small_difference(case, items, short)
        or _short(case, items, short)
    )


def _exact(case: Case, items: Sequence[ItemView], short: int) -> Settlement | None:
    """The amount is explained to the last unit."""
    charges = case.payment.charges_minor
    if short == 0:
        return Settlement("exact", tuple(application(i, i.remaining_minor) for i in items))
    if short < 0:
        return None
    if discounted := _discounts_for(case, items, short):
        return Settlement("discount", _with_discounts(items, discounted))
    if charges and short == charges:
        return _with_charge("bank_charge", tuple(application(i, i.remaining_minor) for i in items), charges)
    if charges and short > charges and (discounted := _discounts_for(case, items, short - charges)):
        return _with_charge("discount_and_charge", _with_discounts(items, discounted), charges)
    return None


def _discounts_for(case: Case, items: Sequence[ItemView], short: int) -> dict[str, int]:
    """The earned discounts that add up to what is missing: all of them, or the only set of up to four; else none."""
    earned = {i.item_id: d for i in items if (d := case.earned_discount_minor(i))}
    if not earned or sum(earned.values()) == short:
        return earned
    names = list(earned)
    hits = search([earned[name] for name in names], short, 4, 2)
    return {names[i]: earned[names[i]] for i in hits[0]} if len(hits) == 1 else {}


def _with_discounts(items: Iterable[ItemView], discounts: dict[str, int]) -> tuple[Application, ...]:
    taken = [(item, discounts.get(item.item_id, 0)) for item in items]
    return tuple(application(i, i.remaining_minor - minor, discount_minor=minor) for i, minor in taken)


def _with_charge(kind: str, applications: tuple[Application, ...], charge_minor: int) -> Settlement | None:
    """Books the bank's charge on the debit with the most cash; none can bear it if it is not below that cash."""
    return _on_largest(kind, applications, "bank_charge_minor", charge_minor)


def _on_largest(kind: str, applications: tuple[Application, ...], relief: str, minor: int) -> Settlement | None:
    debits = [a for a in applications if a.side == DEBIT]
    largest = max(debits, key=lambda a: (a.cash_minor, a.item_id))
    if largest.cash_minor <= minor:
        return None
    bearing = replace(largest, cash_minor=largest.cash_minor - minor, **{relief: minor})
    return Settlement(kind, tuple(bearing if a is largest else a for a in applications))


def _instalments(case: Case, items: Sequence[ItemView]) -> Settlement | None:
    """Documents in instalments are named as a whole: of each the oldest, at least one, that together are the amount,
    after earned discount, before a stated charge; of one document also the only instalment that is the amount."""
    groups = by_document(items)
    if len(groups) == sum(map(len, groups)):
        return None
    credits = [item for item in items if item.side == CREDIT]
    due_minor = case.available_minor + sum(item.remaining_minor for item in credits)
    charge = case.payment.charges_minor
    for kind, discounted, target in (
        ("instalment", False, due_minor),
        ("discount", True, due_minor),
        ("bank_charge", False, due_minor + charge),
        ("discount_and_charge", True, due_minor + charge),
    ):
        if "charge" in kind and not charge:
            continue
        discounts = {i.item_id: case.earned_discount_minor(i) for i in items} if discounted else {}
        if settled := _oldest(case, kind, groups, credits, discounts, target):
            return settled
        if kind == "instalment" and len(groups) == 1 and (exact := only_exact(groups[0], target)):
            return Settlement(kind, _with_discounts([*credits, exact], {}))
    return None


def _oldest(
    case: Case,
    kind: str,
    groups: list[list[ItemView]],
    credits: list[ItemView],
    discounts: dict[str, int],
    target_minor: int,
) -> Settlement | None:
    """The oldest instalments of each document that make the target; two ways to make it are a question to a person."""
    amounts = [[item.remaining_minor - discounts.get(item.item_id, 0) for item in group] for group in groups]
    choices = oldest_of_each(amounts, target_minor)
    if not choices:
        return None
    if len(choices) > 1:
        part = tuple(application(i, minor) for i, minor in in_due_order(case, [g[0] for g in groups], target_minor))
        return Settlement("instalments_unclear", part, reason=Reason.AMOUNT_NOT_UNIQUE)
    chosen = [item for group, count in zip(groups, choices[0], strict=True) for item in group[:count]]
    paid = _with_discounts([*credits, *chosen], discounts)
    return _with_charge(kind, paid, case.payment.charges_minor) if "charge" in kind else Settlement(kind, paid)


def _over(case: Case, items: Sequence[ItemView], over: int) -> Settlement:
    paid = tuple(application(i, i.remaining_minor) for i in items)
    covered = case.policy.over_tolerance_for(case.payment.currency).covers(over, case.available_minor - over)
    if covered and case.closing:
        return Settlement("small_gain", paid, 0, over)
    if not covered and any(too_early(case, items, item) for item in items if item.side == DEBIT):
        return _beyond(case, items)
    reason = Reason.WAITS_FOR_CLOSE if covered else None
    return Settlement("overpaid", paid, over, reason=reason)


def _beyond(case: Case, items: Sequence[ItemView]) -> Settlement:
    """More than the instalments that are to be paid now: of one document these are paid and the rest waits; over
    several documents, or with a credit that would become cash, a person says what is meant."""
    part = fill(case, items)
    left = case.available_minor - sum(a.signed_cash_minor for a in part)
    if not part:
        return Settlement("overpaid", (), case.available_minor, reason=Reason.OVERPAID)
    sure = len(by_document(items)) == 1 and all(item.side == DEBIT for item in items)
    return Settlement("overpaid", part, left, reason=None if sure else Reason.DESIGNATION_INCONSISTENT)


def _small_difference(case: Case, items: Sequence[ItemView], short: int) -> Settlement | None:
    """What is missing is within tolerance: posts at the day's close only.

    Not on top of a discount: two concessions that happen to add up to what is missing explain nothing.
    """
    tolerance = case.policy.tolerance_for(case.payment.currency)
    if not tolerance.covers(short, case.available_minor + short):
        return None
    booked = _on_largest("small_difference", _with_discounts(items, {}), "small_difference_minor", short)
    waits = "small_difference" in case.policy.closing_only and not case.closing
    return replace(booked, reason=Reason.WAITS_FOR_CLOSE) if booked and waits else booked


def _short(case: Case, items: Sequence[ItemView], short: int) -> Settlement:
    """Less than is open: a part of one document, by policy; over several documents nobody said which is short."""
    one = len({item.document_id for item in items if item.side == DEBIT}) == 1
    if one and sum(a.signed_cash_minor for a in fill(case, items, whole=False)) < case.available_minor:
        return _beyond(case, items)
    filled = fill(case, items)
    flags = ("SHORT",)
    if any(short == d.amount_minor for item in items for d in item.discounts):
        flags += ("DISC_UNEARNED",)
    kind = "partial" if one else "oldest_first"
    left = case.available_minor - sum(a.signed_cash_minor for a in filled)
    part = Settlement(kind, filled, left, flags=flags)
    if one:
        posts = filled and case.policy.short == "partial"
        return part if posts else replace(part, reason=Reason.SHORT_UNALLOCATED)
    if case.policy.short_several == "suggest":
        return replace(part, reason=Reason.SHORT_UNALLOCATED)
    waits = "oldest_first" in case.policy.closing_only and not case.closing
    return replace(part, reason=Reason.WAITS_FOR_CLOSE) if waits else part


def fill(case: Case, items: Sequence[ItemView], *, whole: bool = True) -> tuple[Application, ...]:
    """All credits, then the debits in the order given until the money is used up or no instalment is due yet; `whole`:
    or only a part of a further instalment could be paid."""
    credits = [application(i, i.remaining_minor) for i in items if i.side == CREDIT]
    shares = in_due_order(case, items, case.available_minor + sum(a.cash_minor for a in credits))
    shares = whole_ones(case, shares) if whole else shares
    return (*credits, *(application(item, minor) for item, minor in shares))
