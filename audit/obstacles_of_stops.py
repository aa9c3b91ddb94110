"""Things parked, held or quarantined that could concern an account, by the events and by what services said at ticks.

What is nobody's in particular concerns everyone, unless its kind lessens no debt or its amount is compared and differs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from audit.contact_policy import ContactPolicy
from audit.knowledge import MARGIN, Knowledge
from audit.log_reader import Event
from audit.obstacles_of_time import UPSTREAM, Ticks


@dataclass(frozen=True, slots=True)
class Stop:
    """One thing. `how` says what it is and since when."""

    kind: str
    id: str
    account_id: str | None
    amount_minor: int | None
    how: str


class StopObstacles:
    """Asked notice by notice."""

    def __init__(self, known: Knowledge, ticks: Ticks) -> None:
        self._known, self._ticks = known, ticks

    def against(self, notice: Event, policies: list[ContactPolicy]) -> Iterator[str]:
        decided_at = notice.instant("decided_at")
        owed = self._owed(notice, decided_at)
        told: set[tuple[str, str]] = set()
        for stop in (*self._quarantined(notice.company, decided_at), *self._held(notice.company, decided_at),
                     *self._parked(notice.company, decided_at)):  # fmt: skip
            new = (stop.kind, stop.id) not in told
            if new and all(_concerns(stop, notice, policy, debts) for policy in policies for debts in owed):
                told.add((stop.kind, stop.id))
                yield stop.how
        for source in UPSTREAM:
            if self._more(source, notice.company, decided_at):
                yield f"more things are parked than {source} names"

    def _quarantined(self, company: str, decided_at: datetime) -> Iterator[Stop]:
        for (owner, record_id), course in self._known.quarantined.items():
            states = course.window(decided_at) if owner == company else []
            if states and all(event.type == "record.quarantined" for event in states):
                data, since = states[-1].data, states[0].known_at.isoformat()
                how = f"{data['kind']} {record_id} is quarantined since {since}"
                yield Stop(data["kind"], str(record_id), data.get("account_id"), data.get("amount_minor"), how)

    def _held(self, company: str, decided_at: datetime) -> Iterator[Stop]:
        for (owner, bank_account, statement_id), course in self._known.held.items():
            states = course.window(decided_at) if owner == company else []
            if states and all(event.type == "statement.held" for event in states):
                how = f"statement {statement_id} of {bank_account} is held since {states[0].known_at.isoformat()}"
                yield Stop("statement", str(statement_id), None, None, how)

    def _parked(self, company: str, decided_at: datetime) -> Iterator[Stop]:
        """What a service upstream had parked in every tick from the margin to the decision."""
        for source in UPSTREAM:
            reaches = self._reaches(source, company, decided_at)
            named = [{(p["kind"], p["id"]): p for p in reach.get("parked", ())} for reach in reaches]
            for key in sorted(set.intersection(*map(set, named))) if named else ():
                thing = named[-1][key]
                how = f"{key[0]} {key[1]} is parked at {source}"
                yield Stop(*key, thing.get("account_id"), thing.get("amount_minor"), how)

    def _more(self, source: str, company: str, decided_at: datetime) -> bool:
        reaches = self._reaches(source, company, decided_at)
        return bool(reaches) and all(reach.get("parked_more") for reach in reaches)

    def _reaches(self, source: str, company: str, decided_at: datetime) -> list[dict[str, Any]]:
        ticks = self._ticks.window(source, decided_at - MARGIN, decided_at)
        return [tick.data["companies"].get(company, {}) for tick in ticks]

    def _owed(self, notice: Event, decided_at: datetime) -> list[set[int]]:
        """Amounts that the account owed at the margin and at the decision: each item, their sum, what is claimed."""
        courses = [
            self._known.items[item_id].window(decided_at)
            for item_id in self._known.item_ids_of.get((notice.company, notice.data["account_id"]), ())
        ]
        debts = [states for states in courses if states and states[0].data["side"] == "debit"]
        claim = sum(i["remaining_minor"] - i.get("disputed_minor", 0) for i in notice.data["items"])
        found = []
        for at in (0, -1):
            open_then = [left for states in debts if (left := states[at].data["remaining_minor"])]
            found.append({*open_then, sum(open_then), claim})
        return found


def _concerns(stop: Stop, notice: Event, policy: ContactPolicy, owed: set[int]) -> bool:
    if stop.account_id:
        return stop.account_id == notice.data["account_id"]
    if stop.kind in policy.harmless:
        return False
    if stop.amount_minor is None or policy.concerned_by_all:
        return True
    amount = abs(stop.amount_minor)
    return any(abs(debt - amount) <= Decimal(amount) * policy.amount_window for debt in owed)
