"""Codes in the words of the people who read the pages. An unknown code is shown as it is, in plain letters."""

REASONS = {
    "CASH_CANDIDATE": "Cash that may be theirs is not applied yet",
    "BANK_DATA_INCOMPLETE": "Bank statements were not complete",
    "TICK_TOO_OLD": "The last complete tick was too old",
    "TICK_AWAITED": "Ordered after the last complete tick",
    "DAY_NOT_CLOSED": "The business day was not closed everywhere",
    "PARKED": "Something that could concern the account is held back",
    "PROMISE": "A promise to pay stands",
    "PLAN": "A payment plan stands",
    "NO_PROFILE": "No contact rules for this kind of debtor",
    "DISPUTED": "The item is disputed",
    "CREDIT_COVERS": "A credit covers the claim",
    "ITEM_CHANGED": "The item changed since the request",
    "ALREADY_SETTLED": "The item was paid meanwhile",
    "SETTLED": "The item was paid meanwhile",
    "LEDGER_BEHIND": "The ledger copy was behind the request",
    "BELOW_MINIMUM": "What is left is below the minimum",
    "OUTSIDE_WINDOW": "Outside the hours in which notices may leave",
    "HOLIDAY": "A holiday at the debtor's place",
    "CAP_REACHED": "Enough notices for this period",
    "OBJECTION": "The contact objected",
    "HARD_STOP": "Contact is stopped for this account",
    "CHANNEL_CLOSED": "The channel is closed for this contact",
    "CONTACT_UNKNOWN": "The contact is not known",
    "CONTACT_INVALID": "The contact's address was refused",
    "CONTACT_POLICY_MISSING": "No contact policy is active",
    "CONTACT_POLICY_INVALID": "The contact policy cannot be read",
    "ACCOUNT_UNKNOWN": "The account is not known",
    "TIME_ZONE_UNKNOWN": "The debtor's time zone is not known",
    "EXPIRED": "Waited past its expiry",
    "TOO_EARLY": "Not before the requested time",
    "CURRENCY_DIFFERS": "Receipt and items are in different currencies",
    "CITATION_UNRESOLVED": "The cited document is not known",
    "CITATION_AMBIGUOUS": "The citation fits several documents",
    "CITATION_WITHOUT_WITNESS": "A document number alone is not enough",
    "AMOUNT_NOT_UNIQUE": "The amount fits several items",
    "AMOUNT_LATE": "The amount fits, but only on a later day",
    "CHANCE_TOO_HIGH": "The amount could fit by chance",
    "NO_EVIDENCE": "Nothing tells whose money it is",
    "NO_MATCH": "Nothing open fits",
    "PAYER_CONTRADICTS": "The payer contradicts the citation",
    "WAITS_FOR_CLOSE": "Tried again at the day's close",
    "SHORT_UNALLOCATED": "Short, and not clear for which item",
    "ACCOUNT_PARKED": "The account is held back",
    "DOCUMENT_CANCELLED": "The cited document was cancelled",
    "DESIGNATION_INCONSISTENT": "The remittance contradicts itself",
    "RETURNED": "The bank took it back",
    "MISAPPLIED": "Was applied wrongly",
}
CASH_KINDS = {
    "cash": "Cash", "credit": "Credit memos", "discount": "Earned discount", "small_difference": "Small differences",
    "bank_charge": "Bank charges", "commission": "Commission", "write_off": "Written off",
    "moved": "Moved to deductions",
    "fx": "Exchange differences", "cancelled": "Cancelled by the ERP", "cash_taken_back": "Cash taken back",
    "invoice": "Invoice", "debit_memo": "Debit memo", "credit_memo": "Credit memo", "deduction": "Deduction",
    "charge": "Charge",
}  # fmt: skip
BUCKETS = {
    "current": "Not due", "1-30": "1–30 days", "31-60": "31–60 days", "61-90": "61–90 days", "91-120": "91–120 days",
    "over_120": "Over 120 days",
}  # fmt: skip
FIGURES = {
    "debit_minor": "Open debit items", "credit_minor": "Open credit items", "credits_minor": "Bank credits",
    "debits_minor": "Bank debits", "applied_minor": "Cash applied", "unapplied_minor": "Unapplied cash",
    "on_account_minor": "Cash on account", "unidentified_minor": "Unidentified cash",
}  # fmt: skip


def plain(code: str) -> str:
    """A code in plain letters: `own_reference` -> `Own reference`."""
    text = code.replace("_", " ").replace(".", " ").strip()
    return text[:1].upper() + text[1:].lower() if text.isupper() else text[:1].upper() + text[1:]


def reason(code: str) -> str:
    return REASONS.get(code, plain(code))


def waits(rule: str) -> str:
    """Why cash of a known account waits, from the rule that knew whose it is: `own_reference/overpaid`."""
    told_by, _, ending = rule.partition("/")
    if ending == "overpaid":
        return "Paid more than was open"
    return f"The {plain(told_by).lower()} tells whose it is, but not for which items" if told_by else "–"


def kind(code: str) -> str:
    return CASH_KINDS.get(code, plain(code))


def bucket(code: str) -> str:
    return BUCKETS.get(code, code)


def figure(code: str) -> str:
    return FIGURES.get(code, plain(code.removesuffix("_minor")))
