"""The send-time gate: it proves that a notice or the order of a hold is not wrongful, or names what stands against it.

Invariant: taking an obstacle away never makes the outcome stricter (Withheld < Wait < Smaller < Pass). Letters (a) to
(f) are those of the design: time, bank data, things parked, cash candidates, covers and contact rules, open amounts.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from services.notifications.domain.contact_rules import forbidden, hard_stops, not_now
from services.notifications.domain.model import (
    Asked,
    AskedHold,
    Item,
    Known,
    Outcome,
    Pass,
    Reached,
    Smaller,
    Stopped,
    Wait,
    Withheld,
)
from services.notifications.domain.policy import ContactPolicy
from shared import calendars
from shared.events.collections import NoticeItem
from shared.events.notifications import Reason

TICK_AGE_MAX = timedelta(seconds=45)
REASONS_MAX = 50
SETTLED, CHANGED, BEHIND = "SETTLED", "ITEM_CHANGED", "LEDGER_BEHIND"
_COVER_CODES = {"promise": "PROMISE", "plan": "PLAN"}


def judge(asked: Asked, known: Known, reached: Reached, policy: ContactPolicy | str | None) -> Outcome:
    """Outcome for a notice. `policy` is None when none is activated, a text when the activated one is not valid."""
    if not isinstance(policy, ContactPolicy):
        return Withheld((_no_policy(policy),))
    against = forbidden(known, asked.contact_id, asked.channel, policy, reached.now)
    against += account_obstacles(known, reached, policy, sum(_claim(i) for i in asked.items))
    waits = day_obstacles(asked.decided_on, reached) + tick_obstacles(asked.not_before_at, reached)
    waits += bank_obstacles(reached, policy)
    waits += not_now(known, asked.contact_id, policy, reached.now, reached.time_zone)
    behind = [Reason(code=BEHIND, evidence=f"version {i.version}", item_id=i.item_id) for i in _behind(asked, known)]
    kept, dropped = open_items(asked.items, known, today(reached))
    kept, small = _without_small(asked.items, kept, known, policy)
    if not kept and not behind:
        against += dropped + small
    return _outcome(asked, against, waits + behind, kept, dropped + small, known, reached)


def _outcome(
    asked: Asked,
    against: list[Reason],
    waits: list[Reason],
    kept: list[NoticeItem],
    dropped: list[Reason],
    known: Known,
    reached: Reached,
) -> Outcome:
    if against:
        return Withheld(_bounded(against + dropped))
    if waits or reached.now >= asked.expires_at:
        return _wait_or_expire(waits, reached.now, asked.expires_at)
    shown = {c: m for c, m in open_credits(known).items() if m > 0 and c in {i.currency for i in kept}}
    if _same(asked.items, kept):
        return Pass(tuple(kept), credits_minor=shown)
    return Smaller(tuple(kept), _bounded(dropped), shown)


def judge_hold(asked: AskedHold, known: Known, reached: Reached, policy: ContactPolicy | str | None) -> Outcome:
    """Outcome for the order of a hold. It passes only if the uncovered overdue sum is still at least what it states."""
    if not isinstance(policy, ContactPolicy):
        return Withheld((_no_policy(policy),))
    against = hard_stops(known, policy) + account_obstacles(known, reached, policy, asked.overdue_minor)
    waits = tick_obstacles(asked.from_at, reached) + bank_obstacles(reached, policy)
    if reached.tick_number <= asked.read_at_number:
        waits.append(Reason(code="TICK_AWAITED", evidence=f"ordered after tick {asked.read_at_number}"))
    overdue = uncovered_overdue(known, asked.currency, today(reached))
    if overdue < asked.overdue_minor or overdue <= 0:
        against.append(Reason(code=CHANGED, evidence=f"overdue {overdue} of {asked.overdue_minor} stated"))
    if against:
        return Withheld(_bounded(against))
    if waits or reached.now >= asked.expires_at:
        return _wait_or_expire(waits, reached.now, asked.expires_at)
    return Pass()


def _wait_or_expire(waits: list[Reason], now: datetime, expires_at: datetime) -> Outcome:
    if now >= expires_at:
        return Withheld(_bounded([*waits, Reason(code="EXPIRED", evidence=expires_at.isoformat())]))
    return Wait(_bounded(waits))


def today(reached: Reached) -> date:
    """Send date: the company's local date of now."""
    return reached.now.astimezone(ZoneInfo(reached.time_zone)).date()


def day_obstacles(decided_on: date, reached: Reached) -> list[Reason]:
    """(a) The markers of the notice's day are not all in."""
    if reached.closed_on is None or reached.closed_on < decided_on:
        return [Reason(code="DAY_NOT_CLOSED", evidence=f"{decided_on}, closed through {reached.closed_on}")]
    return []


def tick_obstacles(not_before_at: datetime, reached: Reached) -> list[Reason]:
    """(a) The last complete tick is too old, or the instant before which nothing is sent has not come."""
    reasons = []
    if reached.tick_at is None or reached.now - reached.tick_at >= TICK_AGE_MAX:
        reasons.append(Reason(code="TICK_TOO_OLD", evidence=str(reached.tick_at)))
    if reached.now < not_before_at:
        reasons.append(Reason(code="TOO_EARLY", evidence=not_before_at.isoformat()))
    return reasons


def bank_obstacles(reached: Reached, policy: ContactPolicy) -> list[Reason]:
    """(b) Bank accounts whose data do not reach the last banking day before the send date."""
    if not reached.banks:
        accepted = policy.no_bank_data == "accepted"
        return [] if accepted else [Reason(code="BANK_DATA_INCOMPLETE", evidence="no bank account is configured")]
    reasons = []
    for bank in reached.banks:
        if not calendars.is_calendar(bank.calendar):
            reasons.append(_incomplete(bank.bank_account, f"calendar {bank.calendar} is unknown"))
            continue
        needed = calendars.last_business_day(today(reached), bank.calendar)
        if bank.complete_through_on is None or bank.complete_through_on < needed:
            reasons.append(_incomplete(bank.bank_account, f"through {bank.complete_through_on}, needed {needed}"))
    return reasons


def _incomplete(bank_account: str, why: str) -> Reason:
    return Reason(code="BANK_DATA_INCOMPLETE", evidence=f"{bank_account}: {why}")


def account_obstacles(known: Known, reached: Reached, policy: ContactPolicy, claim_minor: int) -> list[Reason]:
    """(c) things parked, held or quarantined that could concern the account, (d) live cash candidates for it."""
    reasons = [
        Reason(code="PARKED", evidence=f"{thing.kind} {thing.id}")
        for thing in sorted(known.stopped, key=lambda t: (t.kind, t.id))
        if could_concern(thing, known, policy, claim_minor)
    ]
    if known.stopped_more:
        reasons.append(Reason(code="PARKED", evidence="more things are parked than a marker names"))
    for candidate in sorted(known.candidates, key=lambda c: c.candidate_id):
        if _is_live(candidate.since_on, reached, policy):
            reasons.append(Reason(code="CASH_CANDIDATE", evidence=f"{candidate.source} {candidate.candidate_id}"))
    return reasons


def _is_live(since_on: date, reached: Reached, policy: ContactPolicy) -> bool:
    limit = policy.candidate_business_days
    calendar = reached.calendar if calendars.is_calendar(reached.calendar) else "XECB"
    return calendars.business_days_between(since_on, today(reached), calendar, limit) <= limit


def could_concern(thing: Stopped, known: Known, policy: ContactPolicy, claim_minor: int) -> bool:
    """Whether a parked thing could stand against `claim_minor` of the account.

    Without an account it stops everyone, unless its kind cannot lessen a debt, or its amount is known and the policy
    is content with comparing it: then it concerns those who owe about that much, in one item or in sum.
    """
    if thing.account_id is not None:
        return thing.account_id == known.account_id
    if thing.kind in policy.harmless_without_account:
        return False
    if thing.amount_minor is None or policy.unassigned == "company":
        return True
    debits = [item.remaining_minor for item in known.items.values() if item.side == "debit" and item.remaining_minor]
    amount = abs(thing.amount_minor)
    slack = Decimal(amount) * policy.unassigned_window
    return any(abs(owed - amount) <= slack for owed in {*debits, sum(debits), claim_minor})


def open_credits(known: Known) -> dict[str, int]:
    """Per currency: credit items that are still open and cash of the account that is on no item."""
    found: dict[str, int] = defaultdict(int, known.credits_minor)
    for item in known.items.values():
        if item.side == "credit":
            found[item.currency] += item.remaining_minor
    return found


def open_items(asked: Iterable[NoticeItem], known: Known, on: date) -> tuple[list[NoticeItem], list[Reason]]:
    """(e) and (f) by item: what may still be stated, with the amounts of now, and why the rest may not."""
    credits_minor, kept, dropped = open_credits(known), [], []
    for item in asked:
        current = known.items.get(item.item_id)
        reason = _changed(item, current, on)
        if reason is None:
            shown = _as_of_now(item, current, known, on)
            reason = _covered(shown, known, credits_minor.get(shown.currency, 0))
        if reason:
            dropped.append(reason)
            continue
        if _claim(shown) < _claim(item):
            dropped.append(Reason(code=CHANGED, evidence=f"{_claim(item)} to {_claim(shown)}", item_id=item.item_id))
        kept.append(shown)
    return kept, dropped


def _as_of_now(asked: NoticeItem, current: Item, known: Known, on: date) -> NoticeItem:
    disputed = max(asked.disputed_minor, disputed_minor(current, known))
    return asked.model_copy(
        update={
            "version": current.version,
            "remaining_minor": current.remaining_minor,
            "disputed_minor": min(disputed, current.remaining_minor),
            "due_on": current.due_on,
            "days_past_due": (on - current.due_on).days,
        }
    )


def _changed(asked: NoticeItem, current: Item | None, on: date) -> Reason | None:
    if current is None:
        return Reason(code=CHANGED, evidence="the item is not in the account", item_id=asked.item_id)
    if current.remaining_minor == 0:
        return Reason(code=SETTLED, evidence=f"version {current.version}", item_id=asked.item_id)
    if current.side != "debit" or current.currency != asked.currency:
        return Reason(code=CHANGED, evidence=f"{current.side} {current.currency}", item_id=asked.item_id)
    if current.remaining_minor > asked.remaining_minor:
        evidence = f"{asked.remaining_minor} grew to {current.remaining_minor}"
        return Reason(code=CHANGED, evidence=evidence, item_id=asked.item_id)
    if current.due_on != asked.due_on and current.due_on >= on:
        return Reason(code=CHANGED, evidence=f"due date moved to {current.due_on}", item_id=asked.item_id)
    return None


def _covered(shown: NoticeItem, known: Known, credit_minor: int) -> Reason | None:
    for cover in sorted(known.covers, key=lambda c: (c.kind, c.cover_id)):
        if cover.kind != "dispute" and cover.covers(shown.item_id, shown.currency):
            return Reason(code=_COVER_CODES[cover.kind], evidence=str(cover.cover_id), item_id=shown.item_id)
    if _claim(shown) <= 0:
        return Reason(code="DISPUTED", evidence=f"{shown.disputed_minor} disputed", item_id=shown.item_id)
    if credit_minor >= _claim(shown):
        return Reason(code="CREDIT_COVERS", evidence=f"credit {credit_minor}", item_id=shown.item_id)
    return None


def disputed_minor(item: Item, known: Known) -> int:
    """Disputed part of an item: what the ledger says or what the open disputes sum to, whichever is more."""
    by_disputes = sum(c.disputed_minor for c in known.covers if c.kind == "dispute" and item.item_id in c.items)
    return min(item.remaining_minor, max(item.disputed_minor, by_disputes))


def uncovered_overdue(known: Known, currency: str | None, on: date) -> int:
    """Overdue and undisputed sum in `currency` (None = all) that no promise, plan or credit covers."""
    sums: dict[str, int] = defaultdict(int)
    for item in known.items.values():
        if item.side != "debit" or item.due_on >= on or (currency and item.currency != currency):
            continue
        if any(c.kind != "dispute" and c.covers(item.item_id, item.currency) for c in known.covers):
            continue
        sums[item.currency] += item.remaining_minor - disputed_minor(item, known)
    credits_minor = open_credits(known)
    return sum(max(0, owed - credits_minor.get(code, 0)) for code, owed in sums.items())


def _without_small(
    asked: Iterable[NoticeItem], kept: list[NoticeItem], known: Known, policy: ContactPolicy
) -> tuple[list[NoticeItem], list[Reason]]:
    """Leave out currencies in which the claim became smaller and, less open credits, is below the policy's minimum."""
    before, after, credits_minor = _sums(asked), _sums(kept), open_credits(known)
    small = set()
    for code, claim in after.items():
        credit = max(0, credits_minor.get(code, 0))
        if (claim < before[code] or credit) and claim - credit < max(1, policy.minimum_minor.get(code, 1)):
            small.add(code)
    reasons = [Reason(code="BELOW_MINIMUM", evidence=f"{after[code]} {code}") for code in sorted(small)]
    return [item for item in kept if item.currency not in small], reasons


def _sums(items: Iterable[NoticeItem]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for item in items:
        sums[item.currency] += _claim(item)
    return sums


def _claim(item: NoticeItem) -> int:
    return item.remaining_minor - item.disputed_minor


def _same(asked: tuple[NoticeItem, ...], kept: list[NoticeItem]) -> bool:
    return [(i.item_id, _claim(i)) for i in asked] == [(i.item_id, _claim(i)) for i in kept]


def _behind(asked: Asked, known: Known) -> list[NoticeItem]:
    """Items whose stated version has not been read yet: the ledger's copy is behind the request."""
    held: dict[UUID, Item] = known.items
    return [i for i in asked.items if i.item_id not in held or held[i.item_id].version < i.version]


def _no_policy(problem: str | None) -> Reason:
    if problem is None:
        return Reason(code="CONTACT_POLICY_MISSING", evidence="activate a policy named contact")
    return Reason(code="CONTACT_POLICY_INVALID", evidence=problem)


def _bounded(reasons: list[Reason]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reasons))[:REASONS_MAX]
