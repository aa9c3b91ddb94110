"""Alert rules and the dashboard against the code: every metric and label that they name exists, and nothing is
measured that nobody looks at and no test moves."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from shared import edge, metrics

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana.json"
MOVED_IN = (
    "tests/store/runtime/test_*.py",
    "tests/store/ingest/test_drop_folder.py",
    "tests/scenario/notifications/test_metrics.py",
)
OF_PROMETHEUS = {"up": set()}
OF_THE_SCRAPE = {"job", "instance"}
NAME = re.compile(r"\b(recoup_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def measured() -> dict[str, Any]:
    """Every metric of the code by its name in `shared.metrics`, with the one of the API's edge."""
    found = {name: m for name, m in vars(metrics).items() if isinstance(m, Counter | Gauge | Histogram)}
    return found | {"HTTP": edge._histogram(REGISTRY)}  # noqa: SLF001


def samples_of(metric: Any) -> dict[str, set[str]]:
    """Names under which a metric is scraped, with the labels of each."""
    name, labels = metric._name, set(metric._labelnames)  # noqa: SLF001
    if isinstance(metric, Counter):
        return {f"{name}_total": labels}
    if isinstance(metric, Histogram):
        return {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
    return {name: labels}


def known() -> dict[str, set[str]]:
    return {name: labels for m in measured().values() for name, labels in samples_of(m).items()} | OF_PROMETHEUS


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def targets() -> Iterator[tuple[str, str]]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in rules()] + list(targets())


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS)
def test_every_metric_and_label_that_is_named_exists(where: str, expr: str) -> None:
    named, labels_of = NAME.findall(expr), known()
    assert named, f"{where} names no metric"
    for name, selector in named:
        assert name in labels_of, f"{where}: {name} is not measured by the code"
        used = set(re.findall(r"([a-z_]+)\s*=~?", selector))
        assert used <= labels_of[name] | OF_THE_SCRAPE, f"{where}: {name} has no label {used - labels_of[name]}"
    common = set.intersection(*(labels_of[name] for name, _ in named)) | OF_THE_SCRAPE
    grouped = {label.strip() for part in GROUPED.findall(expr) for label in part.split(",")}
    assert grouped <= common, f"{where} groups by {grouped - common}"


def test_every_rule_says_what_is_wrong_how_bad_it_is_and_where_to_read_on() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "warn"), rule["alert"]
        assert len(rule["annotations"]["summary"]) > 20, rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


def test_nothing_is_measured_that_nobody_looks_at() -> None:
    shown = {name for _, expr in EXPRESSIONS for name, _ in NAME.findall(expr)}
    assert [name for name, m in measured().items() if not shown & samples_of(m).keys()] == []


def test_a_test_moves_every_metric() -> None:
    moved = "".join(path.read_text(encoding="utf-8") for pattern in MOVED_IN for path in ROOT.glob(pattern))
    assert [m._name for n, m in measured().items() if n != "HTTP" and m._name not in moved] == []  # noqa: SLF001


def test_no_label_names_a_customer() -> None:
    personal = {"account", "account_id", "company", "payer", "contact", "name", "key"}
    assert [m._name for m in measured().values() if personal & set(m._labelnames)] == []  # noqa: SLF001
