"""The customers of the data-room company: master data as the ERP knows it, and what is true besides.

`known_accounts` is what the customer master says; `accounts` is where the money
really comes from. Account numbers of the books are unique; names are not.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from sample.accounts import PayingAccount, open_account
from sample.behaviour import Habit, form_habit
from sample.business_days import Timeline
from sample.checksums import digits
from sample.words import COUNTRIES, PROJECTS, STEMS, TRADES, Country

PRICES = (450, 600, 750, 900, 1200, 1500, 1800, 2000, 2400, 2500, 3000, 3600, 4000, 4800, 5000)
RECURRING_SHARE = 32
NEUTRALITY_NAMES = (("GB", "<b>Bits & Bytes</b> Ltd"), ("DE", "=Equals Consulting GmbH"))


@dataclass(frozen=True)
class Terms:
    """`days` net; `percent` off when paid within `discount_days` (0: no discount)."""

    days: int
    percent: int = 0
    discount_days: int = 0

    def __str__(self) -> str:
        return f"{self.percent}/{self.discount_days} NET {self.days}" if self.percent else f"NET {self.days}"


@dataclass
class Customer:
    account_id: str
    party_id: str
    name: str
    debtor_kind: str
    country: Country
    city: tuple[str, str, str]
    street: str
    house: str
    industry: str
    segment: str
    currency: str
    tax_id: str
    terms: Terms
    credit_limit_minor: int
    sales_owner: str
    customer_since_on: date
    registered_on: date
    weight: int
    phase: int
    room_price: int
    rooms: int
    habit: Habit
    projects: tuple[str, ...]
    accounts: list[PayingAccount]
    known_accounts: list[str] = field(default_factory=list)
    confidentiality: str = "normal"
    status: str = "active"
    has_promise: bool = False

    @property
    def is_recurring(self) -> bool:
        return self.rooms > 0

    @property
    def access_targets(self) -> list[str]:
        return [f"room:{project.lower()}-{self.account_id}" for project in self.projects]


def _country_plan(count: int) -> list[Country]:
    """Every country by its weight, so that a small run has all of them too."""
    total = sum(country.weight for country in COUNTRIES)
    plan: list[Country] = []
    for country in COUNTRIES:
        plan += [country] * max(1, count * country.weight // total)
    while len(plan) < count:
        plan.append(COUNTRIES[0])
    return plan[:count]


def _terms(rng: Random, direct_debit: bool) -> Terms:
    days = rng.choices((14, 30, 45, 60), weights=(28, 50, 12, 10))[0]
    if not direct_debit and days >= 30 and rng.randrange(100) < 14:
        return Terms(days, 2, 10)
    return Terms(days)


def _name(rng: Random, country: Country, used: set[str], stem: str | None) -> tuple[str, str, str]:
    while True:
        word, industry, segment = rng.choice(TRADES)
        name = f"{stem or rng.choice(STEMS)} {word} {rng.choice(country.legal_forms)}"
        if name not in used:
            used.add(name)
            return name, industry, segment


def _currency(rng: Random, country: Country) -> str:
    return rng.choice(("EUR", "USD")) if country.code == "CH" else country.currency


def _known_accounts(rng: Random, accounts: list[PayingAccount]) -> list[str]:
    """84 % of the masters name the right account, 7 % an outdated one only, 9 % none."""
    drawn = rng.randrange(100)
    if drawn < 84:
        return [accounts[0].number]
    return [accounts[1].number] if drawn < 91 else []


def _make(rng: Random, ordinal: int, country: Country, named: tuple[str, str, str], timeline: Timeline) -> Customer:
    name, industry, segment = named
    rooms = rng.choices((1, 2, 3), weights=(30, 45, 25))[0] if rng.randrange(100) < RECURRING_SHARE else 0
    habit = form_habit(rng, country.code, rooms, timeline)
    accounts = [open_account(rng, country), open_account(rng, country)]
    joined_late = rng.randrange(100) < 5
    registered = rng.choice(timeline.days[: max(1, len(timeline.days) * 2 // 3)]) if joined_late else timeline.first
    since = registered if joined_late else timeline.first - timedelta(days=rng.randrange(90, 3000))
    account_id = str(100100 + ordinal * 7 + rng.randrange(5))
    return Customer(
        account_id=account_id,
        party_id=f"P{account_id}",
        name=name,
        debtor_kind=rng.choices(("organisation", "sole_trader", "public_body"), weights=(94, 4, 2))[0],
        country=country,
        city=rng.choice(country.cities),
        street=rng.choice(country.streets),
        house=str(rng.randrange(1, 180)),
        industry=industry,
        segment=segment,
        currency=_currency(rng, country),
        tax_id="" if country.code == "US" else country.code + digits(rng, 9),
        terms=_terms(rng, habit.direct_debit),
        credit_limit_minor=rng.choice((10_000, 20_000, 30_000, 50_000, 100_000)) * 100,
        sales_owner=f"sales-{rng.randrange(1, 6)}",
        customer_since_on=since,
        registered_on=registered,
        weight=rng.choices((1, 2, 4, 8), weights=(40, 35, 18, 7))[0],
        phase=rng.randrange(60),
        room_price=rng.choice(PRICES),
        rooms=rooms,
        habit=habit,
        projects=tuple(rng.sample(PROJECTS, max(1, rooms))),
        accounts=accounts,
        known_accounts=_known_accounts(rng, accounts),
        confidentiality="restricted" if rng.randrange(100) < 3 else "normal",
    )


def _level_recurring(rng: Random, customers: list[Customer]) -> None:
    """At least 30 % of the accounts have round recurring amounts; the draw alone may fall short."""
    wanted = -(-len(customers) * 31 // 100)
    plain = [customer for customer in customers if not customer.is_recurring]
    rng.shuffle(plain)
    for customer in plain[: max(0, wanted - (len(customers) - len(plain)))]:
        customer.rooms = 1


def _share_party(rng: Random, customers: list[Customer]) -> None:
    """A few legal persons hold two accounts in the books and pay for both from one bank account."""
    pool = [customer for customer in customers if not customer.habit.direct_debit and customer.country.code != "US"]
    for _ in range(len(customers) // 50):
        first, second = rng.sample(pool, 2)
        if first.country is not second.country or first.currency != second.currency:
            continue
        second.party_id, second.accounts = first.party_id, list(first.accounts)
        second.known_accounts = list(first.known_accounts)
        second.name = f"{first.name} {second.city[0]}"
        second.tax_id = first.tax_id


def make_customers(seed: int, count: int, timeline: Timeline) -> list[Customer]:
    """`count` customers in the order of their account numbers; some are registered during the run only."""
    if count < 20:
        raise ValueError(f"customers must be at least 20 so that all six countries occur, got {count}")
    rng = Random(f"{seed}:customers")
    used: set[str] = set()
    plan = _country_plan(count)
    rng.shuffle(plan)
    customers: list[Customer] = []
    for ordinal, country in enumerate(plan):
        # Every twelfth customer shares the first word of its name with the one before it.
        stem = customers[-1].name.split()[0] if ordinal % 12 == 5 else None
        customers.append(_make(rng, ordinal, country, _name(rng, country, used, stem), timeline))
    _level_recurring(rng, customers)
    _share_party(rng, customers)
    for code, name in NEUTRALITY_NAMES:
        payers = [customer for customer in customers if customer.country.code == code]
        chosen = min(payers, key=lambda one: one.habit.persona not in ("late", "heavy"))
        chosen.name, chosen.registered_on = name, timeline.first
    return customers
