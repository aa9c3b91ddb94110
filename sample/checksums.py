"""References and account numbers with valid check digits.

Creditor references follow ISO 11649, IBANs ISO 13616, both by ISO 7064 mod 97-10;
national keys (France, Netherlands, US routing numbers) are right as well.
"""

from random import Random


def _as_number(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text))


def creditor_reference(body: str) -> str:
    """`RFkk` + body; the body is 1 to 21 letters and digits."""
    if not 1 <= len(body) <= 21 or not body.isalnum():
        raise ValueError(f"the body of a creditor reference is 1 to 21 letters and digits, got {body!r}")
    return f"RF{98 - _as_number(body.upper() + 'RF00') % 97:02d}{body.upper()}"


def iban(country: str, national: str) -> str:
    return f"{country}{98 - _as_number(national + country + '00') % 97:02d}{national}"


def digits(rng: Random, count: int) -> str:
    return str(rng.randrange(10**count)).zfill(count)


def french_national(rng: Random, bank: str) -> str:
    """Bank (5), branch (5), account (11) and the RIB key (2)."""
    branch, account = digits(rng, 5), digits(rng, 11)
    key = 97 - (89 * int(bank) + 15 * int(branch) + 3 * int(account)) % 97
    return f"{bank}{branch}{account}{key:02d}"


def dutch_national(rng: Random, bank: str) -> str:
    """Bank (4 letters) and an account of ten digits that passes the eleven test."""
    while True:
        account = "0" + digits(rng, 9)
        if sum(int(digit) * (10 - place) for place, digit in enumerate(account)) % 11 == 0:
            return bank + account


def national_account(rng: Random, country: str, bank: str) -> str:
    """The national part of an IBAN of one of the sample's countries."""
    if country == "FR":
        return french_national(rng, bank)
    if country == "NL":
        return dutch_national(rng, bank)
    return bank + digits(rng, {"DE": 10, "GB": 14, "CH": 12}[country])


def routing_number(rng: Random) -> str:
    """A US routing number of nine digits with its ABA check digit."""
    head = "0" + str(rng.randrange(1, 10)) + digits(rng, 6)
    total = sum(int(digit) * weight for digit, weight in zip(head, (3, 7, 1, 3, 7, 1, 3, 7), strict=True))
    return head + str(-total % 10)
