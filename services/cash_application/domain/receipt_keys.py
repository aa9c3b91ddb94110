"""Keys by which a return of the bank names the payment that it takes back: the same strings for both.

Weak texts such as NOTPROVIDED are no keys.
"""

from shared.events.payments import PaymentReferences

NO_REFERENCE = frozenset({"", "NOTPROVIDED", "NONREF", "NONE", "N/A", "0"})
UNIQUE = ("u:", "b:")
"""Prefixes of keys that name one payment by themselves; payers use the others more than once."""


def receipt_keys(references: PaymentReferences) -> list[str]:
    """Keys of a credit or of a return, strongest first."""
    found = []
    for prefix, text in (
        ("u", references.uetr),
        ("b", references.bank),
        ("e", references.end_to_end),
        ("c", references.creditor_reference),
    ):
        plain = "".join(text.split()).upper()
        if plain not in NO_REFERENCE:
            found.append(f"{prefix}:{plain}")
    return found
