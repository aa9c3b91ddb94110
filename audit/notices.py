"""Wrongful notices by the design's definition: facts that were known more than 60 s before a notice was committed as
`sending` and stood against it. Judged from the log alone; every wrongful notice is listed with its evidence.
"""

from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

from audit.findings import Findings
from audit.knowledge import Course, Knowledge
from audit.log_reader import Event, Log
from audit.obstacles_of_cash import CashObstacles
from audit.obstacles_of_data import DataObstacles

HARD_STOPS = frozenset({"insolvent", "bankrupt", "deceased", "moratorium", "attorney", "closed"})
OBJECTIONS = frozenset({"cease", "objection", "no_email"})


class Judge:
    """Puts each notice against everything that the log knew."""

    def __init__(self, log: Log) -> None:
        self.known = Knowledge(log)
        self.companies = {event.company: event.data for event in log.of("company.configured")}
        self.cash = CashObstacles(self.known)
        self.data = DataObstacles(self.known, self.companies)

    def send_date(self, notice: Event) -> date:
        zone = self.companies[notice.company].get("time_zone", "UTC")
        return notice.instant("decided_at").astimezone(ZoneInfo(zone)).date()

    def against(self, notice: Event) -> list[str]:
        """Everything that stood against a notice, as sentences."""
        on = self.send_date(notice)
        found = list(self._items(notice, on))
        found += self._covers(notice)
        found += self._credits(notice)
        found += self.cash.against(notice, on, self._calendar(notice), self._candidate_days(notice, on))
        found += self.data.against(notice, on)
        found += self._contact(notice, on)
        return found

    def _calendar(self, notice: Event) -> str:
        return self.companies[notice.company].get("calendar", "XECB")

    def _candidate_days(self, notice: Event, on: date) -> int:
        policy = self.known.policy(notice.company, "contact", on.isoformat()) or {}
        return int(policy.get("candidate_business_days", 10))

    def _items(self, notice: Event, on: date) -> Iterator[str]:
        """Settled or smaller than stated, in every state from the margin to the decision; not yet due."""
        decided_at = notice.instant("decided_at")
        for stated in notice.data["items"]:
            course = self.known.items.get(stated["item_id"])
            name = f"item {stated['number']}"
            if course is None:
                yield f"{name} is not in the ledger"
                continue
            claim = stated["remaining_minor"] - stated.get("disputed_minor", 0)
            states = [e for e in course.window(decided_at)]
            most = max((e.data["remaining_minor"] - e.data["disputed_minor"] for e in states), default=None)
            if most is not None and most < claim:
                last = states[0]
                yield (
                    f"{name} claims {claim}, {most} was open since {last.known_at.isoformat()} "
                    f"(version {last.data['version']}, stated {stated['version']})"
                )
            if states and all(date.fromisoformat(e.data["due_on"]) >= on for e in states):
                yield f"{name} is due on {states[-1].data['due_on']}, not before {on}"

    def _covers(self, notice: Event) -> Iterator[str]:
        """Live promises and plans over an item; open disputes over what is claimed of it."""
        decided_at = notice.instant("decided_at")
        account = (notice.company, notice.data["account_id"])
        standing = [("promise", c) for c in self.known.promises.get(account, ())]
        standing += [("plan", c) for c in self.known.plans.get(account, ())]
        live = [(kind, states) for kind, c in standing if _live(states := c.window(decided_at))]
        for stated in notice.data["items"]:
            for kind, states in live:
                data = states[-1].data
                named = data.get("items", [])
                if stated["item_id"] in named or (not named and stated["currency"] == data.get("currency")):
                    yield f"item {stated['number']} stands under {kind} {data[kind + '_id']}"
            disputed = sum(_disputed(c, stated["item_id"], decided_at) for c in self.known.disputes.get(account, ()))
            left_out = stated.get("disputed_minor", 0)
            if disputed and stated["remaining_minor"] - left_out > max(0, stated["remaining_minor"] - disputed):
                yield f"item {stated['number']}: {disputed} of it is disputed, {left_out} was left out"

    def _credits(self, notice: Event) -> Iterator[str]:
        """Open credit items and cash of the account on no item that would pay an item as a whole."""
        decided_at = notice.instant("decided_at")
        account_id = notice.data["account_id"]
        credit: dict[str, int] = {}
        for item_id in self.known.item_ids_of.get((notice.company, account_id), ()):
            course = self.known.items[item_id]
            if course.states[0].data["side"] == "credit" and (states := course.window(decided_at)):
                currency = states[0].data["currency"]
                credit[currency] = credit.get(currency, 0) + min(e.data["remaining_minor"] for e in states)
        for stated in notice.data["items"]:
            currency = stated["currency"]
            cash = self.known.cash.get((notice.company, account_id, currency))
            states = cash.window(decided_at) if cash else []
            own = min((e.data["unapplied_minor"] + e.data["on_account_minor"] for e in states), default=0)
            claim = stated["remaining_minor"] - stated.get("disputed_minor", 0)
            available = credit.get(currency, 0) + own
            if 0 < claim <= available:
                yield f"item {stated['number']} claims {claim}, the account has credit of {available}"

    def _contact(self, notice: Event, on: date) -> Iterator[str]:
        """The account or the contact must not be written to."""
        decided_at, account_id = notice.instant("decided_at"), notice.data["account_id"]
        policy = self.known.policy(notice.company, "contact", on.isoformat()) or {}
        stops = frozenset(policy.get("hard_stops", HARD_STOPS))
        objections = frozenset(policy.get("objections", OBJECTIONS))
        states = _window(self.known.accounts.get((notice.company, account_id)), decided_at)
        if states and all(e.data.get("status") in stops for e in states):
            yield f"account {account_id} is {states[-1].data['status']}"
        contact = (notice.company, account_id, notice.data.get("contact_id", ""))
        states = _window(self.known.contacts.get(contact), decided_at)
        if states and all(not e.data.get("valid", True) for e in states):
            yield f"contact {contact[2]} is not valid"
        if states and all(objections & set(e.data.get("consents", ())) for e in states):
            yield f"contact {contact[2]} objected"
        refused = _window(self.known.refusals.get(contact), decided_at)
        if refused and states and all(e.known_at < refused[-1].known_at for e in states):
            yield f"contact {contact[2]} refused a mail for good before"


def _window(course: Course | None, decided_at) -> list[Event]:  # noqa: ANN001
    return course.window(decided_at) if course else []


def _live(states: list[Event]) -> bool:
    """A promise or plan that stood from the margin to the decision."""
    return bool(states) and all(event.type in ("promise.made", "plan.agreed") for event in states)


def _disputed(course: Course, item_id: str, decided_at) -> int:  # noqa: ANN001
    states = course.window(decided_at)
    if not states or states[0].data["item_id"] != item_id or any(e.data["status"] != "open" for e in states):
        return 0
    return min(event.data["disputed_minor"] for event in states)


def judge_notices(log: Log, findings: Findings) -> tuple[int, int]:
    """Judges every notice that was committed as sending. Returns how many, and how many of them were wrongful."""
    judge = Judge(log)
    judged, wrongful = 0, 0
    for notice in log.of("notice.sending"):
        judged += 1
        against = judge.against(notice)
        data = notice.data
        sent = f"notice {data['notice_id']} of {notice.company} {data['account_id']} at {data['decided_at']}"
        wrongful += bool(against)
        findings.true(not against, "WRONGFUL {}: {}", sent, "; ".join(against[:6]))
    findings.figures["notices_judged"], findings.figures["wrongful_notices"] = judged, wrongful
    return judged, wrongful
