"""Cash that evidence connects with an account and that was neither applied nor returned: booked and waiting, announced,
in a held statement, or quarantined. Older than the policy's business days it no longer stands against a notice.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from audit.announcements import booked_at, ends_on
from audit.bank_days import days_after
from audit.evidence import (
    ACCOUNTS_PER_AMOUNT_MAX,
    Cash,
    Register,
    Since,
    cash_of_credit,
    cash_of_payment,
    cash_of_record,
)
from audit.knowledge import MARGIN, Course, Knowledge
from audit.ledger_log import ITEM_EVENTS
from audit.log_reader import Event

MONEY_KINDS = frozenset({"payment", "bank_line", "remittance"})
SPAN_DAYS_MAX = 120


@dataclass(slots=True)
class Money:
    """One sum of cash: the event that brought it, and the accounts that evidence connects."""

    cash: Cash
    event: Event
    accounts: dict[str, Since]
    amount_minor: int
    states: Course | None = None
    closed_at: datetime | None = None
    ends_on: date | None = None


class CashObstacles:
    """All cash that ever waited, to be asked account by account."""

    def __init__(self, known: Knowledge) -> None:
        self._known = known
        log = known.log
        accounts = log.of("account.registered", "account.updated")
        self._register = Register(accounts, log.of(*ITEM_EVENTS))
        self._money = [m for m in self._all() if m.amount_minor]
        self._days: dict[str, list[Money]] = defaultdict(list)
        for money in self._money:
            self._days[money.event.company].append(money)
        self._open_then: dict[tuple[str, datetime], dict[tuple[str, int], set[str]]] = {}

    def _all(self) -> Iterator[Money]:
        log = self._known.log
        for event in log.of("payment.received"):
            course = self._known.payments.get(event.data["payment_id"])
            if course is None or any(_waiting(state) for state in course.states):
                yield self._made(cash_of_payment(event, "received"), event, event.data["amount_minor"], course)
        announced = list(log.of("payment.announced"))
        booked = booked_at(announced, list(log.of("payment.received")))
        for event in announced:
            money = self._made(cash_of_payment(event, "announced"), event, event.data["amount_minor"], None)
            money.closed_at = booked.get(event.id)
            money.ends_on = ends_on(event)
            yield money
        for course in self._known.held.values():
            for event, closed_at in _spans(course, "statement.held"):
                for number, credit in enumerate(event.data.get("credits", ())):
                    money = self._made(cash_of_credit(event, credit, number), event, credit["amount_minor"], None)
                    money.closed_at = closed_at
                    yield money
        yield from self._quarantined()

    def _quarantined(self) -> Iterator[Money]:
        for course in self._known.quarantined.values():
            for event, closed_at in _spans(course, "record.quarantined"):
                if event.data["kind"] in MONEY_KINDS:
                    money = self._made(cash_of_record(event), event, event.data.get("amount_minor") or 0, None)
                    money.closed_at = closed_at
                    yield money

    def _made(self, cash: Cash, event: Event, amount_minor: int, states: Course | None) -> Money:
        return Money(cash, event, self._register.connects(cash), amount_minor, states)

    def against(self, notice: Event, on: date, calendar: str, days_max: int) -> Iterator[str]:
        """Sums that stood against a notice, by the auditor's own evidence and by what the ledger said itself."""
        yield from self._told(notice, on, calendar, days_max)
        decided_at, account_id = notice.instant("decided_at"), notice.data["account_id"]
        for money in self._days.get(notice.company, ()):
            since = money.event.business_date
            if money.event.known_at >= decided_at - MARGIN or (on - since).days > SPAN_DAYS_MAX:
                continue
            if _over(money, decided_at, on):
                continue
            open_minor, accounts = self._standing(money, decided_at)
            if not open_minor:
                continue
            limit = decided_at - MARGIN
            evidence = {kind for kind, known_at in accounts.get(account_id, {}).items() if known_at < limit}
            evidence = evidence or self._by_amount(money, open_minor, account_id, decided_at)
            if evidence and days_after(calendar, since, on) <= days_max:
                yield (
                    f"cash {money.cash.source} {money.cash.id} of {open_minor} {money.cash.currency} is connected by "
                    f"{', '.join(sorted(evidence))}, known since {money.event.known_at.isoformat()}"
                )

    def _told(self, notice: Event, on: date, calendar: str, days_max: int) -> Iterator[str]:
        """Candidates that the ledger had named and not cleared."""
        decided_at = notice.instant("decided_at")
        for course in self._known.candidates.get((notice.company, notice.data["account_id"]), ()):
            states = course.window(decided_at)
            if not states or any(event.type != "cash.candidate" for event in states):
                continue
            since = min(event.day("since_on") or event.business_date for event in states)
            if days_after(calendar, since, on) <= days_max:
                data = states[-1].data
                yield (
                    f"cash candidate {data['candidate_id']} of {data['amount_minor']} {data['currency']} was named at "
                    f"{states[0].known_at.isoformat()} and not cleared"
                )

    def _standing(self, money: Money, decided_at: datetime) -> tuple[int, dict[str, Since]]:
        """What of the cash waited all the time from the margin to the decision, and whose it may be."""
        if money.states is None:
            return money.amount_minor, money.accounts
        states = money.states.window(decided_at)
        if not states:
            later = money.states.until(decided_at)
            return (0 if later else money.amount_minor), money.accounts
        last = states[-1]
        accounts = money.accounts
        own = {p["account_id"]: {"identified": last.known_at} for p in last.data["split"] if p["unapplied_minor"]}
        if last.actor.startswith("user:"):
            accounts = {}
        return min(_waiting(state) for state in states), {**accounts, **own}

    def _by_amount(self, money: Money, open_minor: int, account_id: str, decided_at: datetime) -> set[str]:
        if money.states is not None:
            states = money.states.window(decided_at)
            if states and states[-1].actor.startswith("user:"):
                return set()
        fitting = self._open_items(money.event.company, decided_at).get((money.cash.currency, open_minor), set())
        return {"exact_amount"} if account_id in fitting and len(fitting) <= ACCOUNTS_PER_AMOUNT_MAX else set()

    def _open_items(self, company: str, decided_at: datetime) -> dict[tuple[str, int], set[str]]:
        """(currency, open amount) -> accounts with an item of it, as known from the margin to the decision."""
        key = (company, decided_at)
        if key not in self._open_then:
            found: dict[tuple[str, int], set[str]] = defaultdict(set)
            for course in self._known.items.values():
                first = course.states[0]
                if first.company != company or first.data["side"] != "debit":
                    continue
                amounts = [frozenset(_amounts(e)) for e in course.window(decided_at)]
                for amount in frozenset.intersection(*amounts) if amounts else ():
                    found[first.data["currency"], amount].add(first.data["account_id"])
            self._open_then[key] = found
        return self._open_then[key]


def _over(money: Money, decided_at: datetime, on: date) -> bool:
    booked = money.closed_at is not None and money.closed_at <= decided_at
    return booked or (money.ends_on is not None and on > money.ends_on)


def _spans(course: Course, opening: str) -> Iterator[tuple[Event, datetime | None]]:
    """Each time that a thing was kept back: the event that said so, and when it was let go after that."""
    for number, event in enumerate(course.states):
        if event.type == opening:
            let_go = (later.known_at for later in course.states[number + 1 :] if later.type != opening)
            yield event, next(let_go, None)


def _amounts(state: Event) -> set[int]:
    remaining = state.data["remaining_minor"]
    return {remaining, remaining - state.data["disputed_minor"]} - {0}


def _waiting(state: Event) -> int:
    """Cash of a payment that waits for a decision."""
    return state.data["unidentified_minor"] + sum(part["unapplied_minor"] for part in state.data["split"])
