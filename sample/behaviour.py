"""How a customer pays: when, how often, in which words and from whose account.

A habit is drawn once per customer and stays; what a single payment does
differently is decided in `difficulties.py`. Delays are calendar days after the due date.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from sample.business_days import Timeline, following

# persona: (weight, typical delay from, to, spread)
PERSONAS = {
    "punctual": (47, -2, 3, 2),
    "late": (31, 6, 20, 4),
    "heavy": (13, 28, 55, 8),
    "holdout": (6, 0, 0, 3),
    "never": (3, 0, 0, 0),
}
CITING_STYLES = {
    "rf_structured": 22,
    "rf_text": 14,
    "number_text": 26,
    "number_variant": 16,
    "document_structured": 10,
    "none": 12,
}
PAYER_RELATIONS = {"own": 89, "holding": 4, "agent": 2, "abbreviation": 3, "affiliate": 2}
DIRECT_DEBIT_SHARE = {"DE": 12, "FR": 12, "NL": 12, "GB": 8, "US": 10, "CH": 0}


@dataclass
class Habit:
    """`release_on` is the day on which a holdout pays all that is due, None for everybody else."""

    persona: str
    delay_days: int
    spread_days: int
    pay_run: str
    takes_discount: bool
    style: str
    payer: str
    separate: bool
    direct_debit: bool
    release_on: date | None = None


def _draw(rng: Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def _release_on(rng: Random, timeline: Timeline) -> date | None:
    """Late enough that levels, warnings and holds have happened; a third of the holdouts never give in."""
    count = len(timeline.days)
    if rng.randrange(3) == 0:
        return None
    return timeline.days[rng.randrange(count * 45 // 100, count * 85 // 100 + 1)]


def form_habit(rng: Random, country: str, rooms: int, timeline: Timeline) -> Habit:
    """Draw the habit of one customer; `rooms` is the number of equally priced rooms it rents (0: none)."""
    persona = _draw(rng, {name: row[0] for name, row in PERSONAS.items()})
    _, low, high, spread = PERSONAS[persona]
    debit = persona == "punctual" and rng.randrange(100) < 2 * DIRECT_DEBIT_SHARE[country]
    separate = not debit and rooms > 1 and rng.randrange(100) < 75
    pay_run = _draw(rng, {"none": 44, "weekly": 14, "biweekly": 22, "monthly": 20})
    return Habit(
        persona=persona,
        delay_days=rng.randint(low, high),
        spread_days=spread,
        pay_run="none" if debit or separate or persona == "holdout" else pay_run,
        takes_discount=persona == "punctual",
        style=_draw(rng, CITING_STYLES),
        payer="own" if debit else _draw(rng, PAYER_RELATIONS),
        separate=separate,
        direct_debit=debit,
        release_on=_release_on(rng, timeline) if persona == "holdout" else None,
    )


def _next_run(on: date, pay_run: str, phase: int) -> date:
    """The next day on which the customer's payables department pays."""
    if pay_run == "weekly":
        on += timedelta(days=(phase % 5 - on.weekday()) % 7)
    elif pay_run == "biweekly":
        on += timedelta(days=(phase % 5 - on.weekday()) % 7)
        if on.isocalendar().week % 2 != phase % 2:
            on += timedelta(days=7)
    elif pay_run == "monthly":
        day = (10, 15, 25)[phase % 3]
        on = on.replace(day=day) if on.day <= day else (on.replace(day=1) + timedelta(days=32)).replace(day=day)
    return following(on)


def pay_day(rng: Random, habit: Habit, phase: int, due_on: date, discount_until_on: date | None) -> date | None:
    """The business day on which an item is paid by habit, None for never; `phase` tells apart the days of pay runs."""
    if habit.persona == "never":
        return None
    if habit.direct_debit:
        return following(due_on)
    if habit.persona == "holdout":
        if habit.release_on is None:
            return None
        return habit.release_on if due_on <= habit.release_on else following(due_on + timedelta(days=rng.randint(0, 5)))
    if discount_until_on is not None and habit.takes_discount and rng.randrange(100) < 85:
        return following(discount_until_on - timedelta(days=rng.randint(2, 4)))
    delay = habit.delay_days + rng.randint(-habit.spread_days, habit.spread_days)
    return _next_run(following(due_on + timedelta(days=delay)), habit.pay_run, phase)
