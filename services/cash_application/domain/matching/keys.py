"""Lookup keys: what a payment asks for and what items and accounts are stored under, equal strings on both sides.

`r:` own reference, `t:` last five digits of a digit chain, `d:` digits of a shorter number, `n:` a whole short or
wordy number, `a:` bank account, `p:` name, `w:` a telling word of a name. Keys only load candidates; they decide
nothing, so a key too many costs time and a key too few costs a match.
"""

from services.cash_application.domain.matching.folding import account_number, name_key, name_words
from services.cash_application.domain.matching.model import AccountView, ItemView, PaymentView
from services.cash_application.domain.matching.numbers import (
    LABELLED_MIN,
    number_parts,
    own_reference,
    printed_numbers,
)
from services.cash_application.domain.matching.references import fields_of, references_in
from services.cash_application.domain.matching.scan import Chain, Scan, scan

ENDING = 5
TOKENS_MAX = 200
WORDS_MAX = 3
WORD_MIN = 4
WHOLE_MAX = 20


def lookup_keys(item: ItemView) -> list[str]:
    """Keys of an item, at most eight; of its printed number and its payment reference."""
    return number_keys(item.number, item.payment_reference)


def number_keys(number: str, payment_reference: str | None = None) -> list[str]:
    """Keys of a printed number and a payment reference, sorted."""
    keys: set[str] = set()
    if reference := own_reference(payment_reference):
        keys.add(f"r:{reference}")
    for printed in printed_numbers(number, payment_reference):
        keys |= _printed_keys(printed)
    return sorted(keys)


def _printed_keys(printed: str) -> set[str]:
    parts = number_parts(printed)
    digits, short = parts.digits, parts.short
    if len(digits) < LABELLED_MIN:
        return {f"n:{parts.whole}"} if len(parts.whole) >= LABELLED_MIN else set()
    keys = {f"t:{digits[-ENDING:]}" if len(digits) >= ENDING else f"d:{digits}"}
    if LABELLED_MIN <= len(short) < ENDING:
        keys.add(f"d:{short}")
    return keys


def account_keys(account: AccountView) -> list[str]:
    """Keys of a customer: its bank accounts, its name, telling words of its name."""
    keys = {f"a:{account_number(bank_account)}" for bank_account in account.bank_accounts if bank_account}
    return sorted(keys | _name_keys(account.name))


def tokens(payment: PaymentView) -> list[str]:
    """Keys to look up for a payment, the strongest first, at most TOKENS_MAX; for ONE set-based query over both
    kinds of stored keys. Of the accounts found by `a:` and `p:` (and those they pay for) all open items are needed."""
    keys: dict[str, None] = {}
    if account := account_number(payment.payer_account):
        keys[f"a:{account}"] = None
    texts = [text for _, text in fields_of(payment)] + [line.document for line in payment.remittance if line.document]
    scans = [scan(text) for text in texts]
    for read in scans:
        keys.update(dict.fromkeys(f"r:{reference}" for reference, _, _ in references_in(read) if reference))
    for read in scans:
        keys.update(dict.fromkeys(_digit_keys(read)))
        keys.update(dict.fromkeys(_whole_keys(read)))
    keys.update(dict.fromkeys(sorted(_name_keys(payment.payer_name))))
    return list(keys)[:TOKENS_MAX]


def _digit_keys(read: Scan) -> list[str]:
    """Not of digits inside a reference with valid check digits: there `find` takes no number, and of a million open
    items ten end in the same five digits."""
    inside = _reference_spans(read)
    chains = ((digits, found) for digits, found in read.chains.items() if len(digits) >= LABELLED_MIN)
    sizes = (digits for digits, found in chains if not all(_is_inside(read, chain, inside) for chain in found))
    return [f"t:{digits[-ENDING:]}" if len(digits) >= ENDING else f"d:{digits}" for digits in sizes]


def _reference_spans(read: Scan) -> dict[int, int]:
    """Where references begin and end; of those that begin at one place the shortest, which every reading covers."""
    spans: dict[int, int] = {}
    for reference, start, end in references_in(read):
        if reference:
            spans[start] = min(end, spans.get(start, end))
    return spans


def _is_inside(read: Scan, chain: Chain, spans: dict[int, int]) -> bool:
    start, end = read.runs[chain.first][1], read.runs[chain.last][2]
    return any(first <= start and end <= last for first, last in spans.items())


def _whole_keys(read: Scan) -> list[str]:
    """Runs of up to four neighbours that end in letters or in one or two digits; a text without digits as a whole."""
    if read.joined.isalpha():
        return [f"n:{read.joined}"] if LABELLED_MIN <= len(read.joined) <= WHOLE_MAX else []
    found = []
    for first in range(len(read.runs)):
        whole = ""
        for last in range(first, min(first + 4, len(read.runs))):
            run, start, _ = read.runs[last]
            if last > first and start - read.runs[last - 1][2] > 1:
                break
            whole += run
            if LABELLED_MIN <= len(whole) <= WHOLE_MAX and len(run) < LABELLED_MIN and not whole.isalpha():
                found.append(f"n:{whole}")
    return found


def _name_keys(name: str | None) -> set[str]:
    if not name:
        return set()
    words = sorted((word for word in name_words(name) if len(word) >= WORD_MIN), key=lambda word: (-len(word), word))
    return {f"p:{name_key(name)}"} | {f"w:{word}" for word in words[:WORDS_MAX]}
