"""The banking calendar of the sample: TARGET business days (market code XECB).

Every date the generator uses is stepped with these functions, so that no file
lies in a folder of a closed day. Dates are plain `datetime.date`.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

START_ON = date(2026, 1, 5)
HISTORY_DAYS = 75


def easter(year: int) -> date:
    """Easter Sunday of a Gregorian year (Meeus, Jones, Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    f = (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=32)
def holidays(year: int) -> frozenset[date]:
    """The six TARGET closing days of a year."""
    sunday = easter(year)
    fixed = {date(year, 1, 1), date(year, 5, 1), date(year, 12, 25), date(year, 12, 26)}
    return frozenset(fixed | {sunday - timedelta(days=2), sunday + timedelta(days=1)})


def is_business_day(on: date) -> bool:
    return on.weekday() < 5 and on not in holidays(on.year)


def following(on: date) -> date:
    """The day itself if it is a business day, else the next one."""
    while not is_business_day(on):
        on += timedelta(days=1)
    return on


@lru_cache(maxsize=65_536)
def step(on: date, count: int) -> date:
    """The business day `count` business days after (before, if negative) `on`."""
    direction = timedelta(days=1 if count >= 0 else -1)
    for _ in range(abs(count)):
        on += direction
        while not is_business_day(on):
            on += direction
    return on


@dataclass(frozen=True)
class Timeline:
    """The business days of one run and the banking days whose statements they bring.

    `bank_days[i]` is the banking day before `days[i]`; its statement lies in the folder of `days[i]`.
    """

    days: tuple[date, ...]
    bank_days: tuple[date, ...]

    @classmethod
    def of(cls, count: int) -> "Timeline":
        if count < 2:
            raise ValueError(f"days must be at least 2 (one day brings nothing to chase), got {count}")
        days = [following(START_ON)]
        while len(days) < count:
            days.append(step(days[-1], 1))
        return cls(tuple(days), tuple(step(day, -1) for day in days))

    @property
    def first(self) -> date:
        return self.days[0]

    @property
    def last(self) -> date:
        return self.days[-1]

    @property
    def first_bank_day(self) -> date:
        return self.bank_days[0]

    @property
    def last_bank_day(self) -> date:
        return self.bank_days[-1]

    @property
    def history_from(self) -> date:
        return self.first - timedelta(days=HISTORY_DAYS)

    def banks_on(self, on: date | None) -> bool:
        """Whether a booking on this day reaches a statement of the run."""
        return on is not None and self.first_bank_day <= on <= self.last_bank_day
