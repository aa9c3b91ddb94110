"""Taking, replacing and cancelling a promise: what a person may agree with a debtor.

Invariant: money is promised once. Live promises on the same debt that together with a new one exceed the debt are
superseded by it; after `per_debt_max` promises a supervisor must allow the next.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from services.collections.domain.case import Case
from services.collections.domain.commands import CancelPromise, MakePromise
from services.collections.domain.exposure import Claim, claims
from services.collections.domain.policy import PromiseRules
from services.collections.domain.promises import end, fact_of
from services.collections.domain.refusal import Refusal
from services.collections.domain.rows import Promise
from services.collections.domain.rules import Rules
from shared.calendars import add_business_days
from shared.events.collections import PromiseState
from shared.ids import derive

DUE_WITHIN_DAYS_MAX = 120


@dataclass(frozen=True, slots=True)
class Taking:
    """When, by whom and through which command a promise is taken."""

    command_id: UUID
    at: datetime
    actor: str


def make(case: Case, asked: MakePromise, rules: Rules, taking: Taking) -> tuple[Promise, list[PromiseState]]:
    """The new promise and the facts of it and of those that it supersedes. Raises Refusal."""
    limits = rules.dunning.promise if rules.dunning else PromiseRules()
    taken_on = asked.taken_on or rules.on
    _check_dates(asked, taken_on, rules.on)
    found = _debt(case, asked, rules.on)
    amount = asked.amount_minor or sum(claim.net_minor for claim in found)
    if amount <= 0:
        raise Refusal("nothing_to_promise", "nothing is open that could be promised; name the amount in amount_minor")
    covered = _covered(case, asked, found, amount)
    replaced = _replaced(case, asked, covered, amount)
    facts = [_superseded(case, promise, rules.on) for promise in replaced]
    standing = _standing(case, asked, covered, replaced)
    _take_place(case, standing, limits)
    promise = Promise(
        company=case.company,
        account_id=case.account_id,
        promise_id=derive("promise", case.company, case.account_id, taking.command_id),
        version=1,
        status="open",
        scope="items" if asked.items else "account",
        contact_id=asked.contact_id,
        amount_minor=amount,
        currency=asked.currency,
        taken_at=taking.at,
        taken_on=taken_on,
        due_on=asked.due_on,
        grace_days=limits.grace_days,
        judged_from_on=add_business_days(asked.due_on, limits.grace_days, rules.calendar),
        tolerance=str(limits.tolerance),
        items=covered,
        channel=asked.channel,
        taken_by=taking.actor,
        standing=standing,
        status_on=rules.on,
    )
    case.put(promise)
    return promise, [*facts, fact_of(promise)]


def cancel(case: Case, asked: CancelPromise, on: date) -> PromiseState:
    """A live promise taken back. Raises Refusal."""
    promise = case.promises.get(asked.promise_id)
    if promise is None:
        raise Refusal("promise_unknown", f"account {case.account_id} has no promise {asked.promise_id}", 404)
    if promise.status != "open":
        raise Refusal("promise_not_open", f"the promise is {promise.status}; only an open promise can be cancelled")
    return _ended(case, promise, "cancelled", on)


def allow(case: Case) -> None:
    """One more promise than the policy's limit, granted by a supervisor."""
    case.put(replace(case.account, allowances=case.account.allowances + 1))


def _check_dates(asked: MakePromise, taken_on: date, on: date) -> None:
    if taken_on > on:
        raise Refusal("taken_in_the_future", f"taken_on {taken_on} is after the business date {on}", 422)
    if asked.due_on < taken_on:
        raise Refusal("due_before_taken", f"due_on {asked.due_on} is before the promise was taken ({taken_on})", 422)
    if (asked.due_on - taken_on).days > DUE_WITHIN_DAYS_MAX:
        raise Refusal(
            "due_too_late", f"due_on is more than {DUE_WITHIN_DAYS_MAX} days ahead; agree a payment plan instead", 422
        )


def _debt(case: Case, asked: MakePromise, on: date) -> list[Claim]:
    """Open claims that the promise is about, oldest first. Raises Refusal for an item that is not open here."""
    found = [claim for claim in claims(case, on) if claim.item.currency == asked.currency]
    if not asked.items:
        return [claim for claim in found if claim.item.due_on <= asked.due_on and claim.net_minor > 0]
    wanted = set(asked.items)
    chosen = [claim for claim in found if claim.item.item_id in wanted]
    if missing := wanted - {claim.item.item_id for claim in chosen}:
        raise Refusal(
            "item_not_open",
            f"item {sorted(map(str, missing))[0]} is not an open {asked.currency} item of account {case.account_id}",
            422,
        )
    return chosen


def _covered(case: Case, asked: MakePromise, found: list[Claim], amount_minor: int) -> list[str]:
    """Items that are not dunned meanwhile: those named, else the oldest ones up to the amount."""
    if asked.items:
        return [str(claim.item.item_id) for claim in found]
    free = [claim for claim in found if not claim.promised or asked.replaces] or found
    covered: list[str] = []
    for claim in free:
        if amount_minor <= 0:
            break
        covered.append(str(claim.item.item_id))
        amount_minor -= claim.net_minor
    return covered


def _overlap(promise: Promise, asked: MakePromise, covered: list[str]) -> bool:
    if promise.currency != asked.currency:
        return False
    return not promise.items or not covered or bool(set(promise.items) & set(covered))


def _replaced(case: Case, asked: MakePromise, covered: list[str], amount_minor: int) -> list[Promise]:
    live = sorted(case.live_promises(), key=lambda promise: str(promise.promise_id))
    named = [promise for promise in live if promise.promise_id in asked.replaces]
    if missing := set(asked.replaces) - {promise.promise_id for promise in named}:
        raise Refusal("promise_not_open", f"promise {sorted(map(str, missing))[0]} is not an open one to replace")
    same = [promise for promise in live if promise not in named and _overlap(promise, asked, covered)]
    debt = sum(
        item.remaining_minor
        for item in case.open_debits()
        if item.currency == asked.currency
        and (not asked.items or str(item.item_id) in covered or any(str(item.item_id) in p.items for p in same))
    )
    doubled = sum(promise.amount_minor for promise in same) + amount_minor > debt
    return named + (same if doubled else [])


def _standing(case: Case, asked: MakePromise, covered: list[str], replaced: list[Promise]) -> int:
    """Which promise on the same debt this is: one more than those superseded or not kept before it."""
    before = [
        promise.standing
        for promise in case.promises.values()
        if promise in replaced
        or (promise.status in ("broken", "partly_kept", "superseded") and _overlap(promise, asked, covered))
    ]
    return 1 + max([*before, *(promise.standing for promise in replaced)], default=0)


def _take_place(case: Case, standing: int, limits: PromiseRules) -> None:
    if standing <= limits.per_debt_max:
        return
    if case.account.allowances < 1:
        raise Refusal(
            "promise_limit",
            f"this would be promise {standing} on the same debt, the limit is {limits.per_debt_max}; "
            "a supervisor can allow one more",
        )
    case.put(replace(case.account, allowances=case.account.allowances - 1))


def _superseded(case: Case, promise: Promise, on: date) -> PromiseState:
    return _ended(case, promise, "superseded", on)


def _ended(case: Case, promise: Promise, status: str, on: date) -> PromiseState:
    ended = end(promise, status, on)
    case.put(ended)
    return fact_of(ended)
