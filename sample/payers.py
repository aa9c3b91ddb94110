"""Who stands on a bank line: the customer, its holding, an agent, an abbreviation, an affiliate, a stranger.

Names appear as banks write them: upper case, transliterated, cut; that alone
does not count as a name unlike the customer's.
"""

from dataclasses import dataclass
from random import Random
from unicodedata import normalize

from sample.accounts import PayingAccount, open_account
from sample.customers import Customer
from sample.words import AGENTS, COUNTRIES, FAMILY_NAMES, GIVEN_NAMES

UNLIKE = ("holding", "agent", "abbreviation", "affiliate", "stranger")
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})


@dataclass(frozen=True)
class Payer:
    """`relation` says how the name on the line relates to the customer; `ultimate` names the ultimate debtor."""

    relation: str
    name: str
    account: PayingAccount | None
    street: str = ""
    house: str = ""
    postcode: str = ""
    town: str = ""
    country: str = ""
    ultimate: str = ""


def plain_letters(text: str) -> str:
    return normalize("NFKD", text.translate(_GERMAN)).encode("ascii", "ignore").decode()


def as_bank_writes(rng: Random, name: str) -> str:
    """The same name in the forms that banks hand over."""
    form = rng.randrange(10)
    if form < 5:
        return name
    if form < 8:
        return plain_letters(name).upper()
    if form == 8:
        return plain_letters(name).replace(".", "").replace("&", "+")[:27].strip()
    return plain_letters(name).upper()[:35].strip()


def abbreviated(name: str) -> str:
    """Initials of all words but the legal form, e.g. `NCP LLP` for Northgate Capital Partners LLP."""
    words = plain_letters(name).replace("<b>", "").replace("</b>", "").split()
    return f"{''.join(word[0] for word in words[:-1] if word[0].isalnum())} {words[-1]}".strip()


def _holding_name(customer: Customer) -> str:
    """A name without a word of the customer's own, fixed for the customer."""
    places = ("Kaiserhof", "Westpoint", "Grand Quai", "Stonegate", "Zuidplein", "Harbor Street")
    return f"{places[customer.phase % 6]} {('Treasury', 'Beteiligungen', 'Group Services')[customer.phase % 3]} " + (
        "GmbH", "S.à r.l.", "Ltd", "B.V."
    )[customer.phase % 4]  # fmt: skip


def _at(customer: Customer, relation: str, name: str, account: PayingAccount, ultimate: str = "") -> Payer:
    postcode, town = customer.city[1], customer.city[0]
    country = customer.country.code
    return Payer(relation, name, account, customer.street, customer.house, postcode, town, country, ultimate)


class Purses:
    """The accounts of holdings and agents: one per holding, one per agent, the same all through the run."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"{seed}:purses")
        self._agents = {name: open_account(self._rng, self._rng.choice(COUNTRIES)) for name in AGENTS}
        self._holdings: dict[str, PayingAccount] = {}

    def tell_master(self, customers: list[Customer]) -> None:
        """The ERP has learned the account of two holdings in five, beside the customer's own."""
        for customer in customers:
            if customer.habit.payer == "holding" and customer.phase % 5 < 2:
                customer.known_accounts.append(self.holding(customer).number)

    def agent(self, rng: Random) -> tuple[str, PayingAccount]:
        name = rng.choice(AGENTS)
        return name, self._agents[name]

    def holding(self, customer: Customer) -> PayingAccount:
        if customer.account_id not in self._holdings:
            self._holdings[customer.account_id] = open_account(self._rng, customer.country)
        return self._holdings[customer.account_id]


def make_payer(rng: Random, customer: Customer, relation: str, affiliate: Customer | None, purses: Purses) -> Payer:
    """The party on the line. One in four third parties names the customer as ultimate debtor."""
    ultimate = customer.name if rng.randrange(4) == 0 else ""
    own = customer.accounts[1] if rng.randrange(100) < 6 else customer.accounts[0]
    if relation == "holding":
        return _at(customer, relation, _holding_name(customer), purses.holding(customer), ultimate)
    if relation == "agent":
        name, account = purses.agent(rng)
        return Payer(relation, name, account, ultimate=ultimate)
    if relation == "abbreviation":
        return _at(customer, relation, abbreviated(customer.name), own)
    if relation == "affiliate" and affiliate is not None:
        return _at(affiliate, relation, as_bank_writes(rng, affiliate.name), affiliate.accounts[0], ultimate)
    return _at(customer, "own", as_bank_writes(rng, customer.name), own)


def make_stranger(rng: Random) -> Payer:
    """A person or firm that is in no master, with an account nobody has seen."""
    country = rng.choice(COUNTRIES)
    name = f"{rng.choice(GIVEN_NAMES)} {rng.choice(FAMILY_NAMES)}"
    if rng.randrange(3) == 0:
        trade = rng.choice(("Consulting", "Trading", "Invest"))
        name = f"{rng.choice(FAMILY_NAMES)} {trade} {rng.choice(country.legal_forms)}"
    return Payer("stranger", name, open_account(rng, country), town=country.cities[0][0], country=country.code)
