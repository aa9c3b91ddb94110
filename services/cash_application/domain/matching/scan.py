"""Cuts a text into letter and digit runs and names the digit chains that may be document numbers.

Invariant: a chain begins and ends at the border of a digit run, so a number is never found inside a longer run of
digits. Amounts, dates, bank accounts and numbers under a foreign label (order, customer, phone) are masked.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from stdnum import iban

from services.cash_application.domain.matching.folding import fold

CHAIN_RUNS_MAX = 4
GAP_MAX = 3
TEXT_MAX = 4000
INVOICE_LABELS = frozenset(
    "INVOICE INVOICES INV BILL DOCUMENT DOC RECHNUNG RECHNUNGEN RECHN RG RGNR RE RENR RNR BELEG BELEGNR FACTURE"
    " FACTURES FACT FATTURA FATT FT FACTURA FACTUUR FAKTURA STATEMENT".split()
)
CREDIT_LABELS = frozenset("CREDIT CREDITS CM CN CRN GUTSCHRIFT GUTSCHRIFTEN GS AVOIR ABONO".split())
PAPERS = frozenset("MEMO MEMOS NOTE NOTES".split())
LIST_WORDS = frozenset("AND UND ET Y E U".split())
NUMBER_WORDS = frozenset("NO NR NUM NUMBER NUMMER N NRO NUMERO NOS".split())
ORDER_LABELS = frozenset(
    "PO ORDER ORDERS BESTELLUNG BESTELLNR BEST AUFTRAG AUFTRAGSNR VERTRAG VERTRAGSNR CONTRACT PROJECT PROJEKT".split()
)
CUSTOMER_LABELS = frozenset("KUNDE KUNDENNR KUNDENNUMMER KDNR KD CUSTOMER CUST CLIENT".split())
CUSTOMER_DIGITS_MIN = 4
FOREIGN_LABELS = CUSTOMER_LABELS | frozenset(
    "ACCOUNT ACCT ACC KONTO KTO IBAN BIC SWIFT BLZ MANDAT"
    " MANDATE MREF EREF KREF CRED TEL PHONE FAX VAT UST USTID TAX STEUER CHEQUE CHECK CK SCHECK WIRE EFT ACH TRN TXN"
    " TXID".split()
)
MONTHS = frozenset(
    "JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER JAN FEB MAR APR JUN JUL AUG"
    " SEP SEPT OCT NOV DEC JANUAR FEBRUAR MAERZ MARZ MAI JUNI JULI OKTOBER DEZEMBER OKT DEZ Q QUARTER QUARTAL"
    " FY".split()
)
LABELS = (
    (INVOICE_LABELS, "invoice"),
    (CREDIT_LABELS, "credit"),
    (ORDER_LABELS, "order"),
    (FOREIGN_LABELS, "foreign"),
    (MONTHS, "month"),
)
LABEL_GAP_MAX = 8

_RUN = re.compile(r"[0-9]+|[A-Z]+")
_CURRENCY = r"(?:EUR|USD|GBP|CHF|€|\$|£)"
_PERIOD = (
    r"(?<![\d/.-])(?:0?[1-9]|1[0-2])[/.](?:19|20)\d\d(?![\d/-])"
    r"|(?<![\dA-Z/.-])(?:19|20)\d\d[/-](?:0[1-9]|1[0-2])(?![\d/-])"
)
_PERIODS = re.compile(_PERIOD)
_MASK = re.compile(
    rf"{_CURRENCY}\s?\d+(?:[.,' ]\d{{3}})*(?:[.,]\d{{1,2}})?(?![\d])"
    rf"|(?<![\dA-Z.,])\d{{1,3}}(?:[.,' ]\d{{3}})*[.,]\d{{2}}(?![\d.,/-]\d|\d)"
    rf"|(?<![\dA-Z.,-])\d+(?:[.,]\d{{2}})?\s?{_CURRENCY}(?![A-Z])"
    r"|(?<!\d)(?<!\d[.,])\d{4,}[.,]\d{2}(?![\d.,/-]\d|\d)"
    r"|(?<![\d/.-])(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?![\d/-])"
    r"|(?<![\d/.-])(?:0?[1-9]|[12]\d|3[01])[./](?:0?[1-9]|1[0-2])[./](?:(?:19|20)\d\d|\d\d)(?![\d/-])"
    rf"|{_PERIOD}"
)
_IBAN = re.compile(r"(?<![A-Z0-9])(?!RF)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Z0-9])")
_TIGHT = frozenset(("-", "/", ".", "_", "–"))


@dataclass(frozen=True, slots=True)
class Chain:
    """Digit runs `first..last` read as one number. `touched_left/right`: a hyphen or the like joins more digits to it;
    `glued`: letters follow it without a gap; `label`: `invoice` or `credit` where such a word stands before it."""

    digits: str
    first: int
    last: int
    touched_left: bool
    touched_right: bool
    glued: bool
    label: str

    @property
    def inner(self) -> bool:
        """Part of a longer number."""
        return self.touched_left or self.touched_right


class Scan:
    """A folded text, its runs as (text, start, end) and the runs joined; never changed after it was made.

    `offsets`: where each run begins in `joined`. `chains`: the digit chains by their digits, found when asked for.
    """

    __slots__ = ("text", "runs", "joined", "offsets", "_chains")

    def __init__(self, text: str) -> None:
        self.text = fold(text)
        self.runs = tuple([(m.group(), m.start(), m.end()) for m in _RUN.finditer(self.text)])
        words = [run[0] for run in self.runs]
        self.joined = "".join(words)
        self.offsets = tuple(accumulate(map(len, words), initial=0))[: len(words)]
        self._chains: dict[str, list[Chain]] | None = None

    @property
    def chains(self) -> dict[str, list[Chain]]:
        """Chains by their digits."""
        if self._chains is None:
            self._chains = _chains(self.text, self.runs, _masked_runs(self.text, self.runs))
        return self._chains


@lru_cache(maxsize=8192)
def scan(text: str) -> Scan:
    """Scan of the first TEXT_MAX characters."""
    return Scan(text[:TEXT_MAX])


def loose_digits(read: Scan) -> list[tuple[str, int, int]]:
    """(text, start, end) of digits that may be a short form of a number and are surely nothing else: single digits,
    digits with letters behind them and years after a month are left out; `10/2026` may be a month or a number."""
    periods = [(m.group(), *m.span()) for m in _PERIODS.finditer(read.text)]
    single = (c for chains in read.chains.values() for c in chains if c.first == c.last and not c.glued)
    free = [c for c in single if len(c.digits) > 1 and label_before(read.runs, c.first) != "month"]
    return periods + [(c.digits, *read.runs[c.first][1:]) for c in free]


def _masked_runs(folded: str, runs: tuple[tuple[str, int, int], ...]) -> frozenset[int]:
    if not any(run[0] < "A" for run in runs):
        return frozenset()
    spans = [m.span() for m in _MASK.finditer(folded)]
    spans += [m.span() for m in _IBAN.finditer(folded) if iban.is_valid(m.group())]
    masked = {i for i, run in enumerate(runs) for a, b in spans if a <= run[1] and run[2] <= b}
    masked.update(i for i, run in enumerate(runs) if run[0] < "A" and label_before(runs, i) in ("foreign", "order"))
    return frozenset(masked)


def label_before(runs: tuple[tuple[str, int, int], ...], at: int) -> str:
    """The kind of label in front of the run, over at most one number word: `invoice`, `credit`, `order`, `foreign`,
    `month`, or nothing."""
    before = _word_before(runs, at)
    return _label(runs, before) if before >= 0 else ""


def _word_before(runs: tuple[tuple[str, int, int], ...], at: int) -> int:
    """Index of the run that may be a label of this one, over at most one number word; -1 if there is none near."""
    before = at - 1
    if before >= 0 and runs[before][0] in NUMBER_WORDS:
        before -= 1
    return before if before >= 0 and runs[at][1] - runs[before][2] <= LABEL_GAP_MAX else -1


def customer_numbers(read: Scan) -> list[tuple[str, int, int]]:
    """(digits, start, end) of numbers that a label calls a customer's."""
    found: list[tuple[str, int, int]] = []
    if CUSTOMER_LABELS.isdisjoint(run[0] for run in read.runs):
        return found
    for at, (run, start, end) in enumerate(read.runs):
        if run < "A" and len(run) >= CUSTOMER_DIGITS_MIN:
            before = _word_before(read.runs, at)
            if before >= 0 and read.runs[before][0] in CUSTOMER_LABELS:
                found.append((run, start, end))
    return found


def _label(runs: tuple[tuple[str, int, int], ...], at: int) -> str:
    word = runs[at][0]
    if word in PAPERS:
        return "credit" if at and runs[at - 1][0] in CREDIT_LABELS else "invoice"
    for words, label in LABELS:
        if word in words:
            return label
    return ""


def _chains(folded: str, runs: tuple[tuple[str, int, int], ...], masked: frozenset[int]) -> dict[str, list[Chain]]:
    found: dict[str, list[Chain]] = {}
    digit = [run[0] < "A" and i not in masked for i, run in enumerate(runs)]
    for first in range(len(runs)):
        if not digit[first]:
            continue
        before = first > 0 and digit[first - 1] and _tight(folded, runs, first - 1)
        label = label_before(runs, first) or _label_of_list(runs, digit, first)
        label = label if label in ("invoice", "credit") else ""
        text = ""
        for last in range(first, min(first + CHAIN_RUNS_MAX, len(runs))):
            if not digit[last] or (last > first and runs[last][1] - runs[last - 1][2] > GAP_MAX):
                break
            text += runs[last][0]
            after = last + 1 < len(runs) and digit[last + 1] and _tight(folded, runs, last)
            glued = last + 1 < len(runs) and runs[last + 1][1] == runs[last][2]
            found.setdefault(text, []).append(Chain(text, first, last, before, after, glued, label))
    return found


def _tight(folded: str, runs: tuple[tuple[str, int, int], ...], left: int) -> bool:
    """True if the run and its right neighbour are joined by one of the signs that numbers have inside."""
    return folded[runs[left][2] : runs[left + 1][1]] in _TIGHT


def _label_of_list(runs: tuple[tuple[str, int, int], ...], digit: list[bool], at: int) -> str:
    """`invoices 150, 151 and 152`: the label counts for every number of the list."""
    before = at - 1
    while before >= 0 and (digit[before] or runs[before][0] in LIST_WORDS):
        if runs[before + 1][1] - runs[before][2] > GAP_MAX:
            return ""
        before -= 1
    if before < 0 or before == at - 1:
        return ""
    return label_before(runs, before + 1) if digit[before + 1] else ""
