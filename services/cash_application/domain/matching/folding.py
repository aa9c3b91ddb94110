"""Upper-case folding of bank text and the comparison form of names.

Invariant: `fold` keeps the length of the text, so that a span found in folded text is a span of the original.
"""

import re
from functools import lru_cache
from unicodedata import combining, normalize

LEGAL_FORMS = frozenset(
    "AB AG AS BV CO COMPANY CORP CORPORATION EK GBR GMBH GROUP HOLDING INC INCORPORATED KG KGAA LIMITED LLC LLP LP LTD"
    " MBH NV OHG OY PLC PTY SA SAS SARL SE SL SLU SNC SPA SRL UG".split()
)
_WORD = re.compile(r"[A-Z0-9]+")
_NOT_ALNUM = re.compile(r"[^A-Z0-9]+")


@lru_cache(maxsize=4096)
def _fold_char(char: str) -> str:
    stripped = "".join(c for c in normalize("NFKD", char) if not combining(c))
    return (stripped.upper() or char)[0]


def fold(text: str) -> str:
    """Upper case without accents, one character for one character."""
    if text.isascii():
        return text.upper()
    return "".join(map(_fold_char, text))


@lru_cache(maxsize=65536)
def compact(text: str) -> str:
    """Folded letters and digits only: `re-2024/17` becomes `RE202417`."""
    return _NOT_ALNUM.sub("", fold(text))


@lru_cache(maxsize=65536)
def name_words(name: str) -> tuple[str, ...]:
    """Words of a name without legal forms, in order; all words if nothing else would be left."""
    words = _WORD.findall(fold(name.replace(".", "")))
    return tuple(word for word in words if word not in LEGAL_FORMS) or tuple(words)


@lru_cache(maxsize=65536)
def name_key(name: str | None) -> str:
    """Two names are the same name when their keys are equal: same words, any order, legal form left out."""
    return " ".join(sorted(name_words(name))) if name else ""


def account_number(text: str | None) -> str:
    """Bank account as it is compared: upper case, no blanks or punctuation; empty if there is none."""
    return compact(text) if text else ""
