"""How one document number can stand in a scanned text: in full, by its digits, under a label, by a suffix.

Invariant: a place begins and ends where digit runs of the text begin and end, so `1234` is never found in `912345`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from services.cash_application.domain.matching.folding import compact
from services.cash_application.domain.matching.scan import CREDIT_LABELS, Chain, Scan

CORE_MIN = 4
LABELLED_MIN = 2
KINDS = ("reference", "full", "core", "labelled", "suffix")
_PARTS = re.compile(r"^(.*?)(\d*)([A-Z]*)$")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Number:
    """A document number in parts: `head` + `digits` (its last digit run) + `tail` = `whole`, separators left out."""

    whole: str
    head: str
    digits: str
    tail: str
    short: str
    prefixes: tuple[str, ...]
    ending: int


@lru_cache(maxsize=65536)
def number_parts(number: str) -> Number:
    """Parts of a printed number; `short` is `digits` without leading zeros where it has some, else empty; `ending` is
    the length of its last group of digits as printed."""
    whole = compact(number)
    match = _PARTS.match(whole)
    head, digits, tail = match.groups() if match else (whole, "", "")
    short = digits.lstrip("0") if digits.startswith("0") else ""
    groups = re.findall(r"\d+", number)
    ending = len(groups[-1]) if groups else 0
    return Number(whole, head, digits, tail, short, tuple(re.findall("[A-Z]+", head)), ending)


@lru_cache(maxsize=65536)
def own_reference(payment_reference: str | None) -> str:
    """Compact form of an item's payment reference if it has the form of ISO 11649, else empty.

    Check digits are proved where a payment cites it: only a reference that is valid there is compared with this one.
    """
    candidate = compact(payment_reference) if payment_reference else ""
    return candidate if candidate.startswith("RF") and candidate[2:4].isdigit() else ""


def printed_numbers(number: str, payment_reference: str | None) -> tuple[str, ...]:
    """What is searched as a document number: the number, and a payment reference that is not ISO 11649."""
    if payment_reference and not own_reference(payment_reference):
        return (number, payment_reference) if number else (payment_reference,)
    return (number,) if number else ()


def chains_by_ending(read: Scan, suffix_min: int) -> dict[str, list[Chain]]:
    """Chains long enough to be distinctive, by their last digits."""
    endings: dict[str, list[Chain]] = {}
    for digits, chains in read.chains.items():
        if len(digits) >= suffix_min:
            endings.setdefault(digits[-suffix_min:], []).extend(chains)
    return endings


def places(number: Number, read: Scan, endings: dict[str, list[Chain]], suffix_min: int) -> list[tuple[int, int, str]]:
    """All (start, end, kind) where the text names the number."""
    if len(number.digits) < LABELLED_MIN:
        return list(_whole_places(number, read))
    if len(number.digits) < suffix_min:
        chains = read.chains.get(number.digits, ())
    else:
        chains = endings.get(number.digits[-suffix_min:], ())
    found = []
    for chain in chains:
        start, kind = _reading(number, chain, read, suffix_min)
        if kind:
            found.append((start, read.runs[chain.last][2], kind))
    if len(number.short) >= LABELLED_MIN:
        for chain in read.chains.get(number.short, ()):
            if not (chain.inner or chain.glued or _other_prefix(number, chain, read)) and (
                chain.label or _own_prefix(number, chain, read)
            ):
                found.append((read.runs[chain.first][1], read.runs[chain.last][2], "labelled"))
    return found


def _reading(number: Number, chain: Chain, read: Scan, suffix_min: int) -> tuple[int, str]:
    """Where the citation begins and how it names the number (empty: it does not)."""
    start = read.runs[chain.first][1]
    same = chain.digits == number.digits
    enough = len(chain.digits) >= (suffix_min if number.tail else CORE_MIN) or bool(chain.label)
    if same and (enough or number.head) and (full := _full_start(number, chain, read)) >= 0:
        return full, "full"
    if chain.glued or _other_prefix(number, chain, read):
        return start, ""
    if same and not chain.inner:
        return start, "core" if enough else ""
    distinctive = len(chain.digits) >= suffix_min and number.digits.endswith(chain.digits)
    return start, "suffix" if distinctive and (same or not chain.inner) else ""


def _full_start(number: Number, chain: Chain, read: Scan) -> int:
    """Start of the whole number around the chain, -1 if other letters or digits stand there.

    The head must begin where a run begins; one of two or more letters may follow other letters (run-together text).
    """
    begin = read.offsets[chain.first] - len(number.head)
    end = begin + len(number.whole)
    if begin < 0 or not read.joined.startswith(number.whole, begin):
        return -1
    if number.tail and end != len(read.joined) and end not in read.offsets:
        return -1
    if (chain.touched_right and not number.tail) or (chain.touched_left and not number.head):
        return -1
    letters = len(number.whole) - len(number.whole.lstrip(_LETTERS))
    return text_position(read, begin) if letters >= 2 or begin in read.offsets else -1


def _other_prefix(number: Number, chain: Chain, read: Scan) -> bool:
    """True if what stands before the chain speaks of something else: letters joined to it that are neither the
    number's own nor a label (`PO-1234` is not `INV-1234`), or a word for credits before an invoice or the reverse."""
    word = _attached_word(chain, read)
    if number.prefixes and word.endswith(number.prefixes):
        return False
    credit = any(prefix in CREDIT_LABELS for prefix in number.prefixes)
    if chain.label and number.prefixes and (chain.label == "credit") != credit:
        return True
    return bool(word) and not chain.label


def _own_prefix(number: Number, chain: Chain, read: Scan) -> bool:
    """True if the number's own letters stick to the chain: `INV-57` for `INV-00057`."""
    return bool(number.prefixes) and _attached_word(chain, read) == number.prefixes[-1]


def _attached_word(chain: Chain, read: Scan) -> str:
    """The letters that are joined to the front of the chain, empty if there are none."""
    if chain.first == 0 or read.runs[chain.first - 1][0] < "A":
        return ""
    word, _, end = read.runs[chain.first - 1]
    return word if read.text[end : read.runs[chain.first][1]] in ("", "-", "/", "_", ".") else ""


def _whole_places(number: Number, read: Scan) -> Iterable[tuple[int, int, str]]:
    """Numbers with hardly a digit at the end: the whole must stand between borders of runs; alone, if all letters."""
    whole = number.whole
    if len(whole) < LABELLED_MIN or (whole.isalpha() and read.joined != whole):
        return
    at = read.joined.find(whole)
    while at >= 0:
        ends = {offset + len(run[0]): run[2] for run, offset in zip(read.runs, read.offsets, strict=True)}
        if at in read.offsets and at + len(whole) in ends:
            yield text_position(read, at), ends[at + len(whole)], "full"
        at = read.joined.find(whole, at + 1)


def text_position(read: Scan, joined_at: int) -> int:
    """Position in the text of a position in the joined runs."""
    for (run, start, _), offset in zip(read.runs, read.offsets, strict=True):
        if joined_at < offset + len(run):
            return start + joined_at - offset
    return len(read.text)
