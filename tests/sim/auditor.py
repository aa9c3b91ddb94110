"""The auditor: what must have come of the inputs, computed from the inputs alone, held against log and store.

It reads records as bytes and headers and imports nothing of the runtime.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sim.inputs import Fact, Mark
from tests.sim.world import SERVICE, Violation, World

if TYPE_CHECKING:
    from tests.sim.driver import Driver

LEDGER, CONTROL = "ar.ledger", "ar.control"
UPSTREAM = ("ar.control", "ar.accounts", "ar.invoices", "ar.payments")
READ = (*UPSTREAM, "ar.collections")
DAY_PARTS = ((1, 0), (1, 1), (2, 0))


@dataclass(slots=True)
class Seen:
    """One record as it first lay in the log. `at` counts all appends, `offset` those of its partition."""

    at: int
    topic: str
    number: int
    offset: int
    key: str
    head: dict[str, str]
    value: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.value)


@dataclass(slots=True)
class Effect:
    """One change of one account. `origin` is the input that it follows from, `what` fact, timer, day or command."""

    at: int
    account: str
    version: int
    balance: int
    instant: int
    what: str
    origin: str


def must(holds: bool, invariant: str, found: object) -> None:
    if not holds:
        raise Violation(invariant, found)


async def lanes_behind(world: World) -> dict[tuple[str, int], tuple[int, int]]:
    """Partitions whose cursor is not at the end of the log: cursor and end."""
    cursors = {(r["topic"], r["partition"]): r["next_offset"] for r in await world.store.table("kafka_cursor")}
    ends = {tuple(lane): len(records) for lane, records in world.log.records.items() if lane.topic in READ and records}
    return {lane: (cursors.get(lane, 0), end) for lane, end in ends.items() if cursors.get(lane, 0) != end}


async def at_rest(world: World) -> bool:
    """Nothing is left to take, to fire, to forward or to send."""
    if await lanes_behind(world):
        return False
    left = [await world.store.table(name) for name in ("outbox", "timer")]
    return not any(left) and all(row["state"] == "written" for row in await world.store.table("marker"))


class Audit:
    def __init__(self, driver: "Driver") -> None:
        self.driver, self.world, self.planned = driver, driver.world, driver.planned
        self.facts = {str(fact.event_id): fact for fact in self.planned.facts}
        self.commands = {str(command.event_id): command for command in self.world.commands}
        self.marks = {mark.number: mark for mark in self.planned.marks}
        self.poisoned = {fact.key for fact in self.planned.planted()}
        self.first: dict[str, Seen] = {}
        self.copies: dict[str, int] = defaultdict(int)
        for at, record in enumerate(self.world.log.order):
            head = {name: value.decode() for name, value in record.headers}
            seen = Seen(at, *record.partition, record.offset, (record.key or b"").decode(), head, record.value)
            earlier = self.first.setdefault(head["ce_id"], seen)
            self.copies[head["ce_id"]] += 1
            must(earlier.value == seen.value and earlier.head == head, "one id, one content", head["ce_id"])
        self.own = [seen for seen in self.first.values() if seen.head["ce_source"] == SERVICE]
        self.effects = [self._effect(seen) for seen in self.own if seen.head["ce_type"] == "cash.changed"]

    def _effect(self, seen: Seen) -> Effect:
        body, head = seen.body, seen.head
        cause, root = head["ce_causationid"], head["ce_correlationid"]
        if body["account_id"].startswith("day"):
            what, origin = "day", root
        elif cause in self.facts:
            what, origin = "fact", cause
        elif cause in self.commands:
            what, origin = "command", cause
        else:
            what, origin = "timer", root
        return Effect(
            seen.at,
            body["account_id"],
            body["version"],
            body["unapplied_minor"],
            body["on_account_minor"],
            what,
            origin,
        )

    # The store at rest ------------------------------------------------------------------------------------------

    async def rest(self) -> None:
        store = self.world.store
        behind = await lanes_behind(self.world)
        must(not behind, "after faults stop: lag 0", behind)
        must(not await store.table("outbox"), "after faults stop: outbox empty", "rows are left")
        timers = await store.table("timer")
        must(not timers, "each timer's effect once", [(r["kind"], r["key"], r["error"]) for r in timers])
        self.letters = {str(r["event_id"]) for r in await store.table("dead_letter") if r["event_id"]}
        parked = {r["key"] for r in await store.table("parked_key")}
        planted = {f.key for f in self.planned.planted() if f.poison == "undecodable" or not self.world.handler.mended}
        must(parked == planted, "parked = planted poison and its key", f"{sorted(parked)}, planted {sorted(planted)}")
        letter_keys = {r["key"] for r in await store.table("dead_letter")}
        must(letter_keys <= planted, "parked = planted poison and its key", sorted(letter_keys - planted))
        inversions = getattr(store, "inversions", [])
        must(not inversions, "rows are locked in one order", inversions[:3])

    # The log ----------------------------------------------------------------------------------------------------

    def sequences(self) -> None:
        streams: dict[tuple[str, str], list[int]] = defaultdict(list)
        for seen in self.own:
            key = f"~m{seen.number}" if seen.head["ce_type"] in ("clock.ticked", "day.closed") else seen.key
            streams[seen.topic, key].append(int(seen.head["ce_sequence"]))
        for stream, numbers in streams.items():
            must(
                numbers == list(range(1, len(numbers) + 1)),
                "per-key order gap-free after de-duplication",
                f"{stream}: {numbers}",
            )

    def chains(self) -> None:
        """Each account is one chain of versions, and each step of it is what its input moves."""
        accounts: dict[str, list[Effect]] = defaultdict(list)
        for effect in self.effects:
            accounts[effect.account].append(effect)
        for account, chain in accounts.items():
            versions = [effect.version for effect in chain]
            must(versions == list(range(1, len(chain) + 1)), "one version chain per account", f"{account}: {versions}")
            balance = 0
            for effect in chain:
                moved, balance = effect.balance - balance, effect.balance
                due = self._moves(effect).get(account)
                must(moved == due, "amounts are what the inputs say", f"{account}: {moved}, input says {due}")

    def _moves(self, effect: Effect) -> dict[str, int]:
        if effect.what == "day":
            return {effect.account: 1}
        if effect.what == "command":
            return self.commands[effect.origin].moves
        fact = self.facts[effect.origin]
        return fact.moves if effect.what == "fact" else fact.later

    def once(self) -> None:
        """Every input has its whole effect once, or lies with the dead letters of a key with planted poison."""
        done: dict[tuple[str, str], list[str]] = defaultdict(list)
        for effect in self.effects:
            done[effect.what, effect.origin].append(effect.account)
        self.done = done
        for (what, origin), accounts in done.items():
            must(what == "day" or len(set(accounts)) == len(accounts), "nothing twice", f"{what} {origin}: {accounts}")
        for name, fact in self.facts.items():
            self._one_fact(name, fact, done)
        for name, command in self.commands.items():
            wanted = sorted(command.moves) if command.answered else []
            must(sorted(done["command", name]) == wanted, "a command acts once", f"{command.key}: {command}")

    def _one_fact(self, name: str, fact: Fact, done: dict) -> None:
        accounts = sorted(done["fact", name])
        if not accounts:
            excused = self._exempt(fact) and (name in self.letters or fact.poison == "undecodable")
            must(excused, "nothing lost", f"{fact.topic} {fact.key} {name} has no effect and is not parked")
        else:
            must(accounts == sorted(fact.moves), "nothing lost", f"{name}: {accounts} of {fact.moves}")
            digestible = not fact.poison or (self.world.ever_mended and fact.poison != "undecodable")
            must(digestible, "parked = planted poison and its key", f"poison {name} has an effect")
            must(
                name not in self.letters or self.copies[name] > 1,
                "nothing twice",
                f"{name} has its effect and is still parked",
            )
        wanted = sorted(fact.later) if accounts and fact.due_at else []
        must(sorted(done["timer", name]) == wanted, "each timer's effect once", f"{name}: {done['timer', name]}")

    def order(self) -> None:
        """On each account, inputs of one key have their effects in the order in which they were written."""
        lanes: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
        for effect in self.effects:
            if effect.what == "fact":
                fact = self.facts[effect.origin]
                lanes[fact.topic, fact.key, effect.account].append((effect.version, self.first[effect.origin].offset))
        for lane, places in lanes.items():
            offsets = [offset for _, offset in sorted(places)]
            must(offsets == sorted(offsets), "events of one key in order", f"{lane}: offsets {offsets}")

    def timers(self) -> None:
        for effect in self.effects:
            if effect.what == "timer":
                due_at, mark = self.facts[effect.origin].due_at, self.marks.get(effect.instant)
                early = mark is None or mark.at < due_at
                must(not early, "no timer early", f"{effect.origin} due {due_at}, decided at tick {effect.instant}")
            else:
                known = effect.instant == 0 or effect.instant in self.marks
                must(known, "what is decided follows from the inputs", f"instant {effect.instant}")

    # Markers ----------------------------------------------------------------------------------------------------

    def markers(self) -> None:
        written: dict[int, dict[int, Seen]] = defaultdict(dict)
        for seen in self.own:
            if seen.head["ce_type"] in ("clock.ticked", "day.closed"):
                must(seen.topic == LEDGER, "markers in every partition", f"a marker in {seen.topic}")
                written[seen.body["number"]][seen.number] = seen
        lanes = set(range(self.world.shape.partitions))
        for number in self.marks:
            must(set(written[number]) == lanes, "markers in every partition", f"{number}: {sorted(written[number])}")
        for lane in lanes:
            places = [written[number][lane].at for number in sorted(written)]
            must(places == sorted(places), "markers in order", f"partition {lane}: {places}")
        self.begins = {number: min(seen.at for seen in by_lane.values()) for number, by_lane in written.items()}
        for number, mark in sorted(self.marks.items()):
            self._one_marker(mark, written[number])

    def _one_marker(self, mark: Mark, written: dict[int, Seen]) -> None:
        begins = self.begins[mark.number]
        late = [e for e in self.effects if e.at > begins and self._before(e, mark)]
        must(
            not late, "markers only after everything before them", f"marker {mark.number} at {begins}, then {late[:2]}"
        )
        if mark.closed is None:
            return
        before = [effect for effect in self.effects if effect.at < begins]
        balance = {effect.account: effect.balance for effect in before}
        totals = {"effects": len(before), "balance": sum(balance.values())}
        for seen in written.values():
            must(
                seen.body["totals"] == totals, "totals equal a fold of the log", f"{seen.body['totals']}, log {totals}"
            )
        parts = sorted(e.account for e in self.effects if e.what == "day" and e.origin == self._marker_id(mark))
        must(parts == sorted(f"day{a}{b}" for a, b in DAY_PARTS), "each part of a day once", f"{mark.closed}: {parts}")
        if self._undisturbed():
            must(
                totals == self._expected(mark),
                "same state at each day.closed as undisturbed",
                f"{mark.closed}: {totals}",
            )

    def _marker_id(self, mark: Mark) -> str:
        return dict(mark.outgoing[0].headers)["ce_correlationid"].decode()

    def _before(self, effect: Effect, mark: Mark) -> bool:
        """Whether an effect belongs before a marker by what was fed."""
        if effect.what == "command":
            return False
        if effect.what == "day":
            closed = next(m for m in self.marks.values() if self._marker_id(m) == effect.origin)
            return closed.number <= mark.number
        fact = self.facts[effect.origin]
        if self._exempt(fact) or not self._fed_before(fact, mark):
            return False
        return effect.what == "fact" or self._was_due(fact, mark)

    def _was_due(self, fact: Fact, mark: Mark) -> bool:
        """A timer is due with the first tick that reaches it and is not before the fact that orders it."""
        if fact.sour:
            return False
        reached = [m.at for m in self.marks.values() if m.closed is None and m.number <= mark.number]
        return any(fact.due_at <= at for at in reached)

    def _exempt(self, fact: Fact) -> bool:
        return fact.key in self.poisoned

    def _fed_before(self, fact: Fact, mark: Mark) -> bool:
        seen = self.first[str(fact.event_id)]
        lane = next(o for o in mark.outgoing if (o.topic, o.number) == (seen.topic, seen.number))
        return seen.offset < self.first[dict(lane.headers)["ce_id"].decode()].offset

    def _undisturbed(self) -> bool:
        """Whether the state at a day's close follows from the inputs alone."""
        driver = self.driver
        return driver.orderly and not driver.faults & {"poison", "undecodable", "sour", "command", "delay"}

    def _expected(self, mark: Mark) -> dict[str, int]:
        facts = [f for f in self.planned.facts if self._fed_before(f, mark)]
        moves = [amount for f in facts for amount in f.moves.values()]
        moves += [amount for f in facts if f.due_at and self._was_due(f, mark) for amount in f.later.values()]
        days = [m for m in self.marks.values() if m.closed is not None and m.number <= mark.number]
        moves += [1 for _ in days for _ in DAY_PARTS]
        return {"effects": len(moves), "balance": sum(moves)}


async def audit(driver: "Driver") -> None:
    """Raise Violation for the first invariant that does not hold."""
    found = Audit(driver)
    await found.rest()
    found.sequences()
    found.once()
    found.chains()
    found.order()
    found.timers()
    found.markers()
