"""People at the customers, links between customers, and what changes in the master during the quarter."""

from dataclasses import dataclass, replace
from datetime import date
from random import Random
from unicodedata import normalize

from sample.accounts import open_account
from sample.business_days import Timeline
from sample.checksums import digits
from sample.customers import Customer
from sample.words import FAMILY_NAMES, GIVEN_NAMES


@dataclass(frozen=True)
class Contact:
    account_id: str
    contact_id: str
    name: str
    roles: tuple[str, ...]
    email: str
    phone: str
    address: str
    language: str
    time_zone: str
    valid: bool
    fed_on: date


@dataclass(frozen=True)
class Link:
    from_account_id: str
    to_account_id: str
    kind: str
    from_on: date
    to_on: date | None
    fed_on: date


@dataclass(frozen=True)
class MasterChange:
    """From `fed_on` the ERP's row of the customer carries these values instead."""

    account_id: str
    fed_on: date
    values: dict[str, object]


def mail_domain(customer: Customer) -> str:
    plain = normalize("NFKD", customer.name.lower()).encode("ascii", "ignore").decode()
    slug = "-".join("".join(c if c.isalnum() else " " for c in plain).split()[:2])
    return f"{slug}-{customer.account_id}.example"


def _contact(rng: Random, customer: Customer, ordinal: int, roles: tuple[str, ...]) -> Contact:
    given, family = rng.choice(GIVEN_NAMES), rng.choice(FAMILY_NAMES)
    reachable = not (ordinal == 1 and rng.randrange(100) < 3)
    local = f"{given}.{family}".lower().replace(" ", "")
    return Contact(
        account_id=customer.account_id,
        contact_id=f"{customer.account_id}-{ordinal}",
        name=f"{given} {family}",
        roles=roles,
        email=f"{local}@{mail_domain(customer)}" if reachable else "",
        phone=f"{customer.country.phone} {digits(rng, 3)} {digits(rng, 6)}",
        address=f"{customer.street} {customer.house}, {customer.city[1]} {customer.city[0]}, {customer.country.code}",
        language=customer.country.language,
        time_zone=customer.country.time_zone,
        valid=reachable,
        fed_on=customer.registered_on,
    )


def make_contacts(seed: int, customers: list[Customer]) -> list[Contact]:
    """One payer per customer, for half of them an approver or executive too."""
    rng = Random(f"{seed}:contacts")
    contacts = []
    for customer in customers:
        contacts.append(_contact(rng, customer, 1, ("payer", "disputes")))
        if rng.randrange(2):
            contacts.append(_contact(rng, customer, 2, (rng.choice(("approver", "executive", "legal")),)))
    return contacts


def make_links(seed: int, customers: list[Customer], timeline: Timeline) -> list[Link]:
    """Second accounts roll up to the first; of the affiliates that pay for others the ERP knows half.

    Some of these links come later, and one in ten ends during the run.
    """
    rng = Random(f"{seed}:links")
    links = _same_party(customers)
    for customer in customers:
        payer = affiliate_of(customer, customers)
        if payer is None or rng.randrange(2):
            continue
        fed_on = max(customer.registered_on, payer.registered_on)
        if rng.randrange(4) == 0:
            fed_on = max(fed_on, rng.choice(timeline.days))
        link = Link(payer.account_id, customer.account_id, "pays_for", date(2025, 7, 1), None, fed_on)
        links.append(link)
        ends_on = [day for day in timeline.days if day > fed_on]
        if ends_on and rng.randrange(10) == 0:
            end = rng.choice(ends_on)
            links.append(replace(link, to_on=end, fed_on=end))
    return links


def _same_party(customers: list[Customer]) -> list[Link]:
    first: dict[str, Customer] = {customer.account_id: customer for customer in customers}
    links = []
    for customer in customers:
        head = first[customer.party_id.removeprefix("P")]
        if head is not customer:
            fed_on = max(customer.registered_on, head.registered_on)
            links.append(Link(customer.account_id, head.account_id, "rolls_up_to", date(2025, 7, 1), None, fed_on))
    return links


def affiliate_of(customer: Customer, customers: list[Customer]) -> Customer | None:
    """The other customer that pays for this one, by habit; the neighbour of the same currency in the books."""
    if customer.habit.payer != "affiliate":
        return None
    peers = [peer for peer in customers if peer.currency == customer.currency and peer.party_id != customer.party_id]
    later = [peer for peer in peers if peer.account_id > customer.account_id]
    return (later or peers)[0] if peers else None


def make_changes(seed: int, customers: list[Customer], timeline: Timeline) -> list[MasterChange]:
    """The ERP learns bank accounts, moves limits and sales owners; about one customer in twelve over a quarter."""
    rng = Random(f"{seed}:changes")
    changes = []
    for customer in customers:
        days = [day for day in timeline.days[1:] if day > customer.registered_on]
        if not days or rng.randrange(60 * 12) >= len(timeline.days):
            continue
        values: dict[str, object] = {"sales_owner": f"sales-{rng.randrange(1, 6)}"}
        if customer.accounts[0].number not in customer.known_accounts:
            values = {"bank_accounts": [*customer.known_accounts, customer.accounts[0].number]}
        elif rng.randrange(3) == 0:
            values = {"credit_limit_minor": customer.credit_limit_minor * 2}
        elif rng.randrange(3) == 0:
            # The customer announces a second account; it goes on paying from the first.
            new = open_account(rng, customer.country).number
            values = {"bank_accounts": [*customer.known_accounts, new]}
        changes.append(MasterChange(customer.account_id, rng.choice(days), values))
    return changes
