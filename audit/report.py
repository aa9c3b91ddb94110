"""The audit as a page for people and as one JSON object for programs."""

from typing import Any

from audit.findings import Findings

SHOWN_MAX = 60


def as_object(findings: Findings) -> dict[str, Any]:
    """`passed`, counts, every finding kept, and the figures."""
    return {
        "passed": findings.passed,
        "checks": findings.checks,
        "findings": findings.texts + ([f"and {findings.more} more"] if findings.more else []),
        "notices_judged": findings.figures.get("notices_judged", 0),
        "wrongful_notices": findings.figures.get("wrongful_notices", 0),
        "notes": findings.notes,
        "figures": findings.figures,
    }


def as_text(findings: Findings) -> str:
    """Verdict first, then what differs, then the figures."""
    verdict = "PASSED" if findings.passed else f"FAILED with {findings.count} findings"
    lines = [f"Audit {verdict}: {findings.checks:,} checks."]
    lines += [f"  - {text}" for text in findings.texts[:SHOWN_MAX]]
    if findings.count > SHOWN_MAX:
        lines.append(f"  … and {findings.count - SHOWN_MAX} more (--json shows up to 500)")
    lines += [f"  note: {note}" for note in findings.notes]
    lines.append("Figures (minor units)")
    for name, value in findings.figures.items():
        if isinstance(value, dict):
            lines.append(f"  {name}")
            lines += [f"    {key}: {_shown(entry)}" for key, entry in value.items()]
        else:
            lines.append(f"  {name}: {_shown(value)}")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {amount:,}" for name, amount in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
