"""What was known when: the states of things in their order, each with the instant when its fact came to the door.

A fact stands against a notice only if it stood before the margin and nothing that came until the decision took it away.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from audit.contact_policy import ContactPolicy, read_contact_policy
from audit.ledger_log import ITEM_EVENTS
from audit.log_reader import Event, Log

MARGIN = timedelta(seconds=60)


class Course:
    """The states of one thing, oldest first."""

    __slots__ = ("states",)

    def __init__(self, states: Iterable[Event]) -> None:
        self.states = list(states)

    def window(self, decided_at: datetime) -> list[Event]:
        """The state that was known more than the margin before, and those that came until the decision.

        Empty when nothing was known by then.
        """
        limit = decided_at - MARGIN
        first = max((i for i, event in enumerate(self.states) if event.known_at < limit), default=None)
        if first is None:
            return []
        return [self.states[first], *(e for e in self.states[first + 1 :] if e.known_at <= decided_at)]

    def until(self, decided_at: datetime) -> list[Event]:
        """States known at the decision."""
        return [event for event in self.states if event.known_at <= decided_at]


def courses(events: Iterable[Event], key: Callable[[Event], object], version: str = "") -> dict[object, Course]:
    """Events by thing, in the order of their version, else of the log."""
    found: dict[object, list[Event]] = defaultdict(list)
    for event in events:
        found[key(event)].append(event)
    if version:
        for states in found.values():
            states.sort(key=lambda event: event.data.get(version, 0))
    return {name: Course(states) for name, states in found.items()}


class Knowledge:
    """Everything of the log that can stand for or against a notice, by thing."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.items = courses(log.of(*ITEM_EVENTS), lambda e: e.data["item_id"], "version")
        self.item_ids_of: dict[tuple[str, str], list[str]] = defaultdict(list)
        for item_id, course in self.items.items():
            first = course.states[0]
            self.item_ids_of[first.company, first.data["account_id"]].append(str(item_id))
        self.promises = self._by_account(log.starting("promise."), "promise_id")
        self.plans = self._by_account(log.starting("plan."), "plan_id")
        self.disputes = self._by_account(log.starting("dispute."), "dispute_id")
        told = (e for e in log.starting("payment.") if e.topic == "ar.ledger" and "payment_version" in e.data)
        self.payments = courses(told, lambda e: e.data["payment_id"], "payment_version")
        self.cash = courses(
            log.of("cash.changed"), lambda e: (e.company, e.data["account_id"], e.data["currency"]), "version"
        )
        self.accounts = courses(
            log.of("account.registered") + log.of("account.updated"), lambda e: (e.company, e.data["account_id"])
        )
        self.contacts = courses(
            log.of("contact.updated"), lambda e: (e.company, e.data["account_id"], e.data["contact_id"])
        )
        self.refusals = courses(
            log.of("contact.invalidated"), lambda e: (e.company, e.data["account_id"], e.data["contact_id"])
        )
        self.quarantined = courses(
            sorted(log.of("record.quarantined", "record.released"), key=_came),
            lambda e: (e.company, e.data["record_id"]),
        )
        self.held = courses(
            sorted(log.of("statement.held", "statement.released"), key=_came),
            lambda e: (e.company, e.data["bank_account"], e.data["statement_id"]),
        )
        self.candidates: dict[tuple[str, str], list[Course]] = defaultdict(list)
        told = sorted(log.of("cash.candidate", "cash.candidate_cleared"), key=lambda e: e.sequence)
        for key, course in courses(told, lambda e: (e.company, e.data["account_id"], e.data["candidate_id"])).items():
            self.candidates[key[:2]].append(course)
        self.policies = log.of("policy.activated")
        self._requests = {event.data["notice_id"]: event for event in log.of("notice.requested")}

    @staticmethod
    def _by_account(events: list[Event], key: str) -> dict[tuple[str, str], list[Course]]:
        found: dict[tuple[str, str], list[Course]] = defaultdict(list)
        for course in courses(events, lambda e: e.data[key], "version").values():
            first = course.states[0]
            found[first.company, first.data["account_id"]].append(course)
        return found

    def request(self, notice: Event) -> Event | None:
        """The request of a notice; of one that a person asked to send again, that of the first."""
        again = self._requests.get(notice.data.get("retry_of") or "")
        return self._requests.get(notice.data["notice_id"], again)

    def policy(self, company: str, name: str, on: str, by: datetime | None = None) -> dict | None:
        """Content of the policy in effect on a day, as known by an instant; one that was activated before the clock
        of the company's data began bears a later instant and counts while there is no other."""
        found = self._policy(company, name, on, by)
        return found["content"] if found else None

    def contact_policies(self, company: str, on: str, decided_at: datetime) -> list[ContactPolicy]:
        """The contact policy at the margin and, if another, at the decision."""
        both = (self._policy(company, "contact", on, at) for at in (decided_at - MARGIN, decided_at))
        found = {(p["effective_on"], p["version"], p["sha256"]): p for p in both if p}
        return [read_contact_policy(p["content"], p["version"]) for p in found.values()]

    def _policy(self, company: str, name: str, on: str, by: datetime | None) -> dict | None:
        found = [
            e for e in self.policies
            if e.company == company and e.data["name"] == name and e.data["effective_on"] <= on
        ]  # fmt: skip
        known = [e for e in found if by is None or e.known_at <= by] or found
        last = max(known, key=lambda e: (e.data["effective_on"], e.sequence), default=None)
        return last.data if last else None


def _came(event: Event) -> tuple[datetime, int]:
    """States of one thing in the order in which they came to the door."""
    return event.known_at, event.sequence
