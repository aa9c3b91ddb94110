"""Accounts as far as they tell who pays: name, the bank accounts on the ERP's record, and for whom they pay."""

from services.cash_application.domain.books import Books
from services.cash_application.domain.rows import Account
from shared.events.accounts import AccountLink, AccountState

PAYS_FOR = "pays_for"


def register(books: Books, fact: AccountState) -> None:
    """Take the whole state of an account; its links stay as they are."""
    old = books.accounts.get((fact.company, fact.account_id))
    books.set_account(
        Account(
            fact.company,
            fact.account_id,
            fact.name,
            fact.currency,
            tuple(sorted({bank.iban for bank in fact.bank_accounts if bank.iban})),
            old.pays_for if old else (),
            registered=True,
            party_id=fact.party_id,
        )
    )


def link(books: Books, fact: AccountLink) -> None:
    """The account is linked; a link that pays for another counts while it is in force."""
    _keep(books, fact, stands=True)


def unlink(books: Books, fact: AccountLink) -> None:
    _keep(books, fact, stands=False)


def _keep(books: Books, fact: AccountLink, stands: bool) -> None:
    row = (fact.company, fact.account_id, fact.to_account_id, fact.kind, fact.from_on, fact.to_on, stands)
    books.written.links.append(row)
    account = books.accounts.get((fact.company, fact.account_id))
    if account is None or fact.kind != PAYS_FOR:
        return
    on = books.cause.business_date
    in_force = stands and (fact.from_on is None or fact.from_on <= on) and (fact.to_on is None or on <= fact.to_on)
    others = set(account.pays_for) - {fact.to_account_id}
    account.pays_for = tuple(sorted(others | {fact.to_account_id} if in_force else others))
