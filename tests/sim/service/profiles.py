"""What a seed is about: every other seed draws everything, the others aim at one hazard that a free draw meets too
rarely, because the end of the chain is mostly reached in rounds without drawn faults.

A profile only says which faults may come and what strikes a step in any round; what must hold is the same.
"""

from dataclasses import dataclass, field
from random import Random

Aim = tuple[str, str]
"""Kind (crash, freeze, mail_down, relay_away, lost, torn) and, for the first two, the place in the step."""
ODDS = 0.85
STRIKES_MAX = 6


@dataclass(frozen=True)
class Profile:
    """`faults` None: drawn. `aims`: by step what may strike it, STRIKES_MAX times in a seed at most."""

    name: str = "free"
    faults: frozenset[str] | None = None
    aims: dict[str, tuple[Aim, ...]] = field(default_factory=dict)

    def aim(self, rng: Random, step: str) -> Aim | None:
        """What is to strike this step. Nothing is drawn for a step that nothing aims at."""
        aims = self.aims.get(step)
        if not aims or rng.random() > ODDS:
            return None
        return rng.choice(aims)


FREE = Profile()
MAIL = Profile(
    "mail",
    frozenset({"crash", "zombie", "mail_down", "relay_away", "small"}),
    {"mail": (
        ("crash", "transaction.saved"), ("crash", "mail.before_data"), ("crash", "mail.after_data"),
        ("freeze", "transaction.saved"), ("freeze", "mail.before_data"), ("freeze", "mail.after_data"),
        ("mail_down", ""), ("relay_away", ""), ("relay_away", ""),
    )},
)  # fmt: skip
"""A sender ends or stands still between `sending` and the answer; the server or the relay is away."""
HOOK = Profile(
    "hook",
    frozenset({"crash", "zombie", "clock", "small"}),
    {"hook": (
        ("crash", "transaction.saved"), ("crash", "webhook.before_post"), ("crash", "webhook.after_post"),
        ("freeze", "transaction.saved"), ("freeze", "webhook.before_post"), ("freeze", "webhook.after_post"),
    )},
)  # fmt: skip
"""A sender of a hold ends or stands still with a version in hand, which another member overtakes."""
REDELIVERY = Profile(
    "redelivery",
    frozenset({"lost", "torn", "small", "rebalance", "crash"}),
    {
        "relay": (("lost", ""), ("lost", ""), ("torn", "")),
        "deliver": (("crash", "transaction.saved"), ("crash", "transaction.committed")),
    },
)  # fmt: skip
"""Records come twice, at the end of the chain too."""
PROFILES = (REDELIVERY, FREE, MAIL, FREE, HOOK, FREE, FREE, MAIL, FREE, HOOK)


def profile_of(seed: int) -> Profile:
    return PROFILES[seed % len(PROFILES)]
