"""The oracle of the matching tests: derives a decision again from its inputs and checks it by rules of its own.

Invariant: it trusts nothing that the decision says; sums, bounds and λ are recomputed by other code than the rungs'.
"""

from datetime import date
from fractions import Fraction
from itertools import combinations
from math import comb, gcd

from services.cash_application.domain.matching.folding import name_key
from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.model import (
    DEBIT,
    Application,
    Candidates,
    Decision,
    ItemView,
    LeftTo,
    PaymentView,
)
from services.cash_application.domain.matching.policy import Policy

RECOUNT_MAX = 20_000


def verify(
    payment: PaymentView, candidates: Candidates, policy: Policy, decision: Decision, *, closing: bool, on: date
) -> list[str]:
    """Everything that is wrong with the decision or its certificate, as sentences; empty when both hold.

    `candidates` are those of the snapshot named in the certificate; `snapshot` itself is not compared.
    """
    problems = check_sums(payment, candidates, decision)
    problems += check_amount_alone(payment, candidates, policy, decision)
    problems += check_due_order(candidates, decision)
    again = match(payment, candidates, policy, closing=closing, on=on)
    if again != decision:
        problems.append(
            f"decision derived again differs: {again.rule} {again.outcome}, was {decision.rule} {decision.outcome}"
        )
    expected = {**again.certificate, "snapshot": None}
    stated = {**decision.certificate, "snapshot": None}
    for key in sorted(set(expected) | set(stated)):
        if expected.get(key) != stated.get(key):
            problems.append(f"certificate: {key} is {stated.get(key)!r}, derived again {expected.get(key)!r}")
    return problems


def check_sums(payment: PaymentView, candidates: Candidates, decision: Decision) -> list[str]:
    """The money equation of one payment and the bounds of every item."""
    problems = []
    items = {item.item_id: item for item in candidates.items}
    cash = sum(a.cash_minor if a.side == DEBIT else -a.cash_minor for a in decision.applications)
    available = payment.amount_minor if payment.available_minor is None else payment.available_minor
    if cash + decision.left_minor + decision.gain_minor != available:
        problems.append(f"applied {cash} + left {decision.left_minor} + gain {decision.gain_minor} is not {available}")
    if (
        decision.left_minor < 0
        or decision.gain_minor < 0
        or (decision.left_minor > 0) == (decision.left_to is LeftTo.NOTHING)
    ):
        problems.append(f"left {decision.left_minor} to {decision.left_to}, gain {decision.gain_minor}")
    if len({a.item_id for a in decision.applications}) != len(decision.applications):
        problems.append("an item is applied to twice")
    for application in decision.applications:
        problems += _check_application(payment, items.get(application.item_id), application)
    return problems


def _check_application(payment: PaymentView, item: ItemView | None, application: Application) -> list[str]:
    if item is None:
        return [f"item {application.item_id} is none of the candidates"]
    problems = []
    parts = (
        application.cash_minor,
        application.discount_minor,
        application.small_difference_minor,
        application.bank_charge_minor,
        application.deduction_minor,
    )
    if min(parts) < 0 or not 0 < sum(parts) <= item.remaining_minor:
        problems.append(f"item {item.item_id}: relief {sum(parts)} of {item.remaining_minor} open")
    if (item.version, item.posting_hash, item.side) != (
        application.version,
        application.posting_hash,
        application.side,
    ):
        problems.append(f"item {item.item_id} was in another state than the decision names")
    if item.currency != payment.currency:
        problems.append(f"item {item.item_id} is in {item.currency}, the payment in {payment.currency}")
    return problems


def check_amount_alone(payment: PaymentView, candidates: Candidates, policy: Policy, decision: Decision) -> list[str]:
    """A posting by amount alone: one item, and λ recounted set by set stays within the bound (while countable)."""
    if not decision.rule.startswith("exact_amount") or not decision.applications:
        return []
    if len(decision.applications) != 1:
        return ["amount alone applied to several items"]
    accounts = _accounts_of_payer(payment, candidates)
    if decision.applications[0].account_id not in accounts:
        return ["amount alone applied to an account for which the payer is not known"]
    items = [i for i in candidates.items if i.account_id in accounts and _payable(i, payment)]
    chosen = decision.applications[0].item_id
    owed = [i for i in candidates.items if i.account_id in accounts and i.side == DEBIT and i.item_id != chosen]
    if any((i.currency, i.remaining_minor) == (payment.currency, payment.open_minor) for i in owed):
        return ["amount alone applied although another open item has the same amount"]
    amounts = [i.remaining_minor - min(i.disputed_minor, i.remaining_minor) for i in items]
    if sum(comb(len(amounts), size) for size in range(1, policy.subset_items_max + 1)) > RECOUNT_MAX:
        return []
    value = payment.open_minor
    sets = (c for size in range(1, policy.subset_items_max + 1) for c in combinations(amounts, size))
    subsets = sum(1 for chosen in sets if abs(sum(chosen) - value) <= value // 20)
    distinct = {*amounts, value}
    step = max(_round_step(value), gcd(*distinct) if len(distinct) >= 3 else 1)
    least = Fraction(subsets * step, 1) / (Fraction(value, 10) + step)
    return [f"λ is at least {least}, the bound {policy.lambda_max}"] if least > policy.lambda_max else []


def check_due_order(candidates: Candidates, decision: Decision) -> list[str]:
    """Within a document an older instalment stays open only when the one paid is, alone, exactly the amount."""
    problems = []
    relief = {a.item_id: a.relief_minor for a in decision.applications if a.side == DEBIT}
    for document in sorted({a.document_id for a in decision.applications}):
        opened = [i for i in candidates.items if (i.document_id, i.side) == (document, DEBIT) and i.remaining_minor]
        paid = [i for i in opened if i.item_id in relief]
        latest = max((i.due_on for i in paid), default=None)
        passed = [i for i in opened if latest and i.due_on < latest and relief.get(i.item_id, 0) < i.remaining_minor]
        exact = len(paid) == 1 and relief[paid[0].item_id] in (
            paid[0].remaining_minor,
            paid[0].remaining_minor - paid[0].disputed_minor,
        )
        near = any(abs(i.remaining_minor - relief.get(paid[0].item_id, 0)) <= len(opened) for i in passed)
        if passed and (not exact or near):
            problems.append(f"document {document}: an instalment is paid before {passed[0].item_id}, which is older")
    return problems


def _accounts_of_payer(payment: PaymentView, candidates: Candidates) -> set[str]:
    """Accounts with the payer's bank account, or whose number and name the payment carries, and those they pay for."""
    number = _plain(payment.payer_account or "")
    said = _plain("".join((*payment.remittance_text, payment.creditor_reference or "", payment.end_to_end or "")))
    direct = set()
    for account in candidates.accounts:
        by_account = bool(number) and number in map(_plain, account.bank_accounts)
        by_name = name_key(account.name) == name_key(payment.payer_name) and _plain(account.account_id) in said
        if by_account or by_name:
            direct.add(account.account_id)
    return direct | {to for a in candidates.accounts if a.account_id in direct for to in a.pays_for}


def _plain(text: str) -> str:
    return "".join(char for char in text.upper() if char.isalnum())


def _payable(item: ItemView, payment: PaymentView) -> bool:
    return item.side == DEBIT and item.currency == payment.currency and item.remaining_minor > item.disputed_minor


def _round_step(value: int) -> int:
    digits = len(str(value))
    return max(s * 10**k for k in range(digits) for s in (1, 2, 5) if value % (s * 10**k) == 0)
