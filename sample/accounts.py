"""Bank accounts of debtors: number, bank and holder, unique within one run."""

from dataclasses import dataclass
from random import Random

from sample.checksums import digits, iban, national_account, routing_number
from sample.words import Country


@dataclass(frozen=True)
class PayingAccount:
    """`number` is an IBAN, or a US account number with `routing` set."""

    number: str
    bank: str
    bic: str
    routing: str = ""

    @property
    def is_iban(self) -> bool:
        return not self.routing


def open_account(rng: Random, country: Country) -> PayingAccount:
    bank, bic, code = rng.choice(country.banks)
    if country.code == "US":
        return PayingAccount(digits(rng, 12), bank, bic, routing_number(rng))
    return PayingAccount(iban(country.code, national_account(rng, country.code, code)), bank, bic)
