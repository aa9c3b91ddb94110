"""Wrongful notices by the design's definition: facts that were known more than 60 s before a notice was committed as
`sending` and stood against it. Judged from the log alone; every wrongful notice is listed with its evidence.
"""

from collections.abc import Iterator
from datetime import date

from audit.contact_policy import ContactPolicy
from audit.findings import Findings
from audit.knowledge import Course, Knowledge
from audit.log_reader import Event, Log
from audit.obstacles_of_cash import CashObstacles
from audit.obstacles_of_contact import ContactObstacles
from audit.obstacles_of_data import DataObstacles
from audit.obstacles_of_stops import StopObstacles
from audit.obstacles_of_time import Ticks, TimeObstacles


class Judge:
    """Puts each notice against everything that the log knew."""

    def __init__(self, log: Log) -> None:
        self.known = Knowledge(log)
        self.companies = {event.company: event.data for event in log.of("company.configured")}
        ticks = Ticks(self.known)
        self.time = TimeObstacles(self.known, ticks)
        self.data = DataObstacles(self.known, self.companies, ticks)
        self.stops = StopObstacles(self.known, ticks)
        self.cash = CashObstacles(self.known)
        self.contact = ContactObstacles(self.known, self.companies)

    def against(self, notice: Event) -> list[str]:
        """Everything that stood against a notice, as sentences, in the order of the design's letters (a) to (f)."""
        if notice.company not in self.companies:
            return [f"company {notice.company} is not configured"]
        on = self.contact.send_date(notice)
        try:
            policies = self.known.contact_policies(notice.company, on.isoformat(), notice.instant("decided_at"))
        except (ValueError, KeyError, TypeError, ArithmeticError) as problem:
            return [f"the contact policy in effect on {on} cannot be read: {type(problem).__name__} {problem}"]
        if not policies:
            return [f"no contact policy was in effect on {on}"]
        days_max = min(policy.candidate_days for policy in policies)
        found = list(self.time.against(notice))
        found += self.data.against(notice, on, policies)
        found += self.stops.against(notice, policies)
        found += self.cash.against(notice, on, self._calendar(notice), days_max)
        found += self._covers(notice)
        found += self._credits(notice, policies)
        found += self.contact.against(notice, policies)
        found += self._items(notice, on)
        return found

    def _calendar(self, notice: Event) -> str:
        return self.companies[notice.company].get("calendar", "XECB")

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

    def _credits(self, notice: Event, policies: list[ContactPolicy]) -> Iterator[str]:
        """Open credit items and cash of the account on no item that would pay an item as a whole, or leave less than
        the policy's least claim."""
        available = self._available(notice)
        claims: dict[str, int] = {}
        for stated in notice.data["items"]:
            currency = stated["currency"]
            claim = stated["remaining_minor"] - stated.get("disputed_minor", 0)
            claims[currency] = claims.get(currency, 0) + claim
            if 0 < claim <= available.get(currency, 0):
                credit = available[currency]
                yield f"item {stated['number']} claims {claim}, the account has credit of {credit}"
        request = self.known.request(notice)
        asked: dict[str, int] = {}
        for item in request.data.get("items", ()) if request else ():
            claim = item["remaining_minor"] - item.get("disputed_minor", 0)
            asked[item["currency"]] = asked.get(item["currency"], 0) + claim
        for currency, claim in claims.items():
            credit = available.get(currency, 0)
            least = min(policy.minimum_minor.get(currency, 1) for policy in policies)
            if (claim < asked.get(currency, claim) or credit) and claim - credit < max(1, least):
                yield f"what is left of the claim is {claim - credit} {currency}, the least is {least}"

    def _available(self, notice: Event) -> dict[str, int]:
        """Per currency, credit that stood from the margin to the decision."""
        decided_at, account_id = notice.instant("decided_at"), notice.data["account_id"]
        credit: dict[str, int] = {}
        for item_id in self.known.item_ids_of.get((notice.company, account_id), ()):
            course = self.known.items[item_id]
            if course.states[0].data["side"] == "credit" and (states := course.window(decided_at)):
                currency = states[0].data["currency"]
                credit[currency] = credit.get(currency, 0) + min(e.data["remaining_minor"] for e in states)
        for currency in {stated["currency"] for stated in notice.data["items"]}:
            cash = self.known.cash.get((notice.company, account_id, currency))
            states = cash.window(decided_at) if cash else []
            own = min((e.data["unapplied_minor"] + e.data["on_account_minor"] for e in states), default=0)
            credit[currency] = credit.get(currency, 0) + own
        return credit


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
