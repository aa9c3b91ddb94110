"""The certificate of a decision: what was tried, what was seen, what was chosen, small enough for every posting.

Invariant: at most BYTES_MAX bytes of JSON, and equal for equal inputs; the caller fills `snapshot` and nothing else.
"""

from fractions import Fraction
from hashlib import sha256
from json import dumps
from typing import Any

from services.cash_application.domain.matching.case import Case
from services.cash_application.domain.matching.model import Application, PaymentView, Suggestion
from services.cash_application.domain.matching.policy import Policy
from services.cash_application.domain.matching.rungs import Verdict

BYTES_MAX = 4096
FORMAT = 1
LOSERS_MAX = 5
CHOSEN_KEPT = 10
SMALL = 6


def certify(
    case: Case,
    verdicts: tuple[Verdict, ...],
    applications: tuple[Application, ...],
    suggestions: tuple[Suggestion, ...],
    outcome: dict[str, Any],
) -> dict[str, Any]:
    """Certificate as a dictionary of JSON values. `outcome` holds the words of the decision itself."""
    certificate = {
        "format": FORMAT,
        "policy": case.policy.label,
        "policy_sha256": policy_hash(case.policy),
        "snapshot": None,
        "on": case.on.isoformat(),
        "closing": case.closing,
        "payment_sha256": payment_hash(case.payment),
        "candidates": len(case.candidates.items),
        "candidates_sha256": candidates_hash(case),
        **outcome,
        "rungs": [_rung(verdict) for verdict in verdicts],
        "chosen": [chosen(a) for a in applications],
        "losers": [_loser(s) for s in suggestions[:LOSERS_MAX]],
    }
    return _fitted(certificate)


def chosen(application: Application) -> list[Any]:
    """Item, the state it was decided on, and the relief in minor units."""
    return [application.item_id, application.version, application.posting_hash, application.relief_minor]


def chance_text(chance: Fraction) -> str:
    """λ as a decimal string with nine places, rounded up so that a bound that is broken never looks kept."""
    billionths = -(-chance.numerator * 10**9 // chance.denominator)
    return f"{billionths // 10**9}.{billionths % 10**9:09d}"


def policy_hash(policy: Policy) -> str:
    """Hash of the activated content; of the values themselves for a policy that was never activated."""
    return policy.sha256 or _digest(repr(policy))


def payment_hash(payment: PaymentView) -> str:
    """Hash of all that was decided on of the payment."""
    return _digest(repr(payment))


def candidates_hash(case: Case) -> str:
    """Hash of identity and state of every candidate, in the case's fixed order."""
    items = [
        f"{i.item_id}:{i.version}:{i.posting_hash}:{i.remaining_minor}:{i.disputed_minor}"
        for i in case.candidates.items
    ]
    accounts = [f"{a.account_id}:{a.parked}" for a in case.candidates.accounts]
    return _digest("|".join(items + accounts))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _rung(verdict: Verdict) -> dict[str, Any]:
    entry: dict[str, Any] = {"rung": verdict.rung}
    if verdict.skipped:
        return {**entry, "outcome": "skipped"}
    entry["outcome"] = "posted" if verdict.posts else str(verdict.reason)
    if verdict.settlement:
        entry["settlement"] = verdict.settlement.kind
    if verdict.witness:
        entry["witness"] = verdict.witness
    if verdict.evidence:
        entry["evidence"] = [list(evidence) for evidence in verdict.evidence]
    if verdict.chance is not None:
        entry["lambda"] = chance_text(verdict.chance)
        entry["subsets"] = verdict.subsets
        entry["searched"] = verdict.searched
    return entry


def _loser(suggestion: Suggestion) -> list[Any]:
    return [suggestion.rule, suggestion.account_id, [[i.item_id, i.amount_minor] for i in suggestion.items[:4]]]


def _fitted(certificate: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what can be derived again until it fits: losers, evidence, then all but the first chosen items."""
    entries = len(certificate["chosen"]) + sum(len(rung.get("evidence", ())) for rung in certificate["rungs"])
    if (entries <= SMALL and not certificate["losers"]) or _size(certificate) <= BYTES_MAX:
        return certificate
    trimmed = {**certificate, "losers": [], "trimmed": True}
    if _size(trimmed) > BYTES_MAX:
        trimmed["rungs"] = [{k: v for k, v in rung.items() if k != "evidence"} for rung in trimmed["rungs"]]
    if _size(trimmed) > BYTES_MAX:
        every = trimmed["chosen"]
        trimmed["chosen_count"] = len(every)
        trimmed["chosen_sha256"] = _digest(dumps(every))
        trimmed["chosen"] = every[:CHOSEN_KEPT]
    return trimmed


def _size(certificate: dict[str, Any]) -> int:
    return len(dumps(certificate, separators=(",", ":"), ensure_ascii=False).encode()) + 40
