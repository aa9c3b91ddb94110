"""What a seed is about: most seeds draw everything, some aim at one hazard that a free draw meets too rarely.

A profile only says which faults may come, where they strike and how often each step comes; what holds is the same.
"""

from dataclasses import dataclass, field
from random import Random

from tests.sim import points
from tests.sim.inputs import Mix

FAULTS = (
    "crash", "freeze", "error", "end_session", "move", "overlap", "duplicate", "delay", "truncate", "misplace", "hole",
    "send_cut", "poison", "undecodable", "sour", "late_company", "command", "answer_lost", "restart",
)  # fmt: skip
STRIKES = ("crash", "freeze", "error")
PLACES = (
    "transaction.saved", "transaction.before_commit", "transaction.committed", "consumer.taken", "relay.sent",
    "sink.send", "commit.before", "commit.after",
)  # fmt: skip
OPEN_PLACES = ("transaction.saved", "commit.before", "sink.send", "sql.MARK_WRITTEN")
"""Where a frozen step holds most: written and not committed, selected and not sent."""
Aim = tuple[points.Kind, str, int]
"""How a step is struck, at which place, and at the how-manyth time that it gets there."""


@dataclass(frozen=True)
class Profile:
    """`faults` None: drawn. `steps`: how many at least and at most before everything comes to rest.

    `struck`: share of the steps that are struck, of those that may be; with `aims` those are the ones named there.
    """

    name: str = "free"
    faults: frozenset[str] | None = None
    members: int | None = None
    batch: int | None = None
    relay_rows: int | None = None
    steps: tuple[int, int] = (20, 70)
    struck: float = 0.3
    ahead: bool | None = None
    mix: Mix = field(default_factory=Mix)
    weights: dict[str, int] = field(default_factory=dict)
    aims: dict[str, tuple[Aim, ...]] = field(default_factory=dict)

    def strike(self, rng: Random, step: str, faults: frozenset[str]) -> points.Strike:
        """What strikes a step: drawn from the aims, or from everything that the faults allow."""
        if self.aims:
            return self._aimed(rng, step)
        kinds = [kind for kind in STRIKES if kind in faults]
        if not kinds or rng.random() > self.struck:
            return points.Strike()
        if "freeze" in kinds and rng.random() < 0.5:
            return points.Strike("freeze", 1, only=rng.choice(OPEN_PLACES))
        if rng.random() < 0.5:
            return points.Strike(rng.choice(kinds), rng.randint(1, 2), only=rng.choice(PLACES))
        return points.Strike(rng.choice(kinds), rng.randint(1, 16))

    def _aimed(self, rng: Random, step: str) -> points.Strike:
        aims = self.aims.get(step)
        if not aims or rng.random() > self.struck:
            return points.Strike()
        kind, place, left = rng.choice(aims)
        return points.Strike(kind, left, only=place)


FREE = Profile()
HELD = Profile(
    "held",
    frozenset({"freeze", "command"}),
    members=4,
    batch=1,
    relay_rows=3,
    steps=(50, 110),
    struck=0.35,
    mix=Mix(facts_per_day=20, accounts=12, timers=0.05, ticks=0.03),
    weights={"feed": 12, "timers": 3, "resume": 6},
    aims={
        "deliver": (("freeze", "copied.outbox", 1),),
        "command": (("freeze", "copied.outbox", 2),),
        "relay": (("freeze", "sink.send", 1), ("freeze", "relay.sent", 1)),
        "timers": (("freeze", "sql.MARK_WRITTEN", 1),),
    },
)
"""A transaction holds low ids of the outbox open while others commit higher ones and relays send, or stand still."""
TIMERS = Profile(
    "two timer loops",
    frozenset({"freeze", "error", "crash"}),
    members=3,
    batch=30,
    steps=(60, 120),
    struck=0.5,
    mix=Mix(accounts=8, timers=0.9, ticks=0.5),
    weights={"feed": 14, "deliver": 24, "timers": 20, "resume": 4},
    aims={
        "timers": (
            ("freeze", "sql.LOCK_ACCOUNTS", 1),
            ("freeze", "commit.before", 1),
            ("error", "sql.LOCK_ACCOUNTS", 1),
            ("crash", "sql.LOCK_ACCOUNTS", 1),
        ),
    },
)
"""A loop stands still with timers claimed, before their effect or before its commit; the others go on."""
COMMANDS = Profile(
    "commands",
    frozenset({"freeze", "command", "answer_lost", "error"}),
    members=3,
    batch=30,
    steps=(50, 110),
    mix=Mix(accounts=8),
    weights={"deliver": 20, "command": 12, "resume": 4},
    aims={
        "command": (
            ("freeze", "commit.before", 1),
            ("freeze", "sql.COPY_outbox", 2),
            ("error", "commit.after", 1),
        ),
    },
)
"""Calls of one company through several members, one still between its sequence and its commit; answers are lost."""
POISON = Profile(
    "poison",
    frozenset({"poison", "move", "error"}),
    steps=(40, 90),
    mix=Mix(accounts=2, poison=0.2),
    weights={"redrive": 3, "mend": 2},
)
"""Keys that stop again and again, are mended and go on."""
ONE_LANE = Profile(
    "one lane",
    frozenset({"error"}),
    members=1,
    batch=1,
    ahead=True,
    mix=Mix(facts_per_day=30, one_lane=True),
    aims={"deliver": (("error", "transaction.before_commit", 1),)},
)
"""Batches that follow each other touch, the next one is ready when one fails, and none may ever be stale."""
PROFILES = (FREE, COMMANDS, FREE, TIMERS, FREE, FREE, HELD, FREE, POISON, ONE_LANE)


def profile_of(seed: int) -> Profile:
    return PROFILES[seed % len(PROFILES)]
