"""The generator as a whole: same seed same bytes, shares met, own code only, clear refusals."""

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sample
from sample.quarter import draw, tell
from tests.domain.sample.reading import Run

ROOT = Path(sample.__file__).parent.parent


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def test_same_seed_gives_the_same_bytes_in_another_process_and_hash_seed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        environment = {**os.environ, "PYTHONHASHSEED": "1" if name == "one" else "2"}
        command = [sys.executable, "-m", "sample", "--seed", "5", "--days", "5", "--out", str(tmp_path / name)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=60)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    sample.generate(5, 5, tmp_path / "one")
    sample.generate(6, 5, tmp_path / "two")
    assert digest(tmp_path / "one") != digest(tmp_path / "two")


@pytest.mark.parametrize("seed", [101, 202, 303])
def test_every_share_is_at_least_what_is_asked_for(seed: int) -> None:
    rates = tell(seed, draw(seed, 60, 400, 4000)).rates
    short = {kind: row for kind, row in rates["shares"].items() if row["realised"] < row["minimum"]}
    assert not short
    assert rates["recurring_accounts"]["realised"] >= rates["recurring_accounts"]["minimum"]
    mistakes = rates["shares"]["wrong_reference"]["count"]
    assert rates["shares"]["wrong_reference_hits_other"]["count"] * 4 >= mistakes


def test_shares_are_what_the_payments_say(quarter: Run) -> None:
    payments = quarter.truth["payments"]
    for kind, row in quarter.rates["shares"].items():
        wanted = {"double", "overpayment"} if kind == "double_or_over" else {kind}
        assert row["count"] == sum(1 for payment in payments if wanted & set(payment["kinds"])), kind
    silent = sum(1 for payment in payments if not payment["cited"])
    assert silent == quarter.rates["shares"]["no_reference"]["count"]


def test_a_quarter_has_the_customers_documents_and_days_asked_for(quarter: Run) -> None:
    assert len(quarter.day_folders) == 60
    assert quarter.truth["expected"]["customers"] == 400
    assert quarter.truth["expected"]["documents"] == 4000
    assert len({row["account_id"] for row in quarter.rows("customers")}) == 400
    assert len({row["country"] for row in quarter.rows("customers")}) == 6
    assert {row["currency"] for row in quarter.rows("documents")} == {"EUR", "USD", "GBP"}
    assert len(quarter.rows("documents")) + len(quarter.records) == 4000


def test_the_generator_imports_only_the_standard_library_and_itself() -> None:
    for path in sorted((ROOT / "sample").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names | {"sample"}, f"{path.name} imports {name}"


def test_it_does_not_write_into_a_folder_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        sample.generate(1, 5, tmp_path)


@pytest.mark.parametrize(
    ("days", "customers", "documents", "word"),
    [(1, 120, 375, "days"), (5, 5, 375, "customers"), (5, 120, 100, "documents")],
)
def test_sizes_that_make_no_sample_are_refused(
    tmp_path: Path, days: int, customers: int, documents: int, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        sample.generate(1, days, tmp_path / "out", customers=customers, documents=documents)


def test_the_command_line_refuses_with_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sample", "--days", "1", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("sample: days must be at least 2")


def test_the_page_of_rates_says_what_seed_one_gives() -> None:
    rates = tell(1, draw(1, 60, 400, 4000)).rates
    page = (ROOT / "docs" / "sample.md").read_text().splitlines()
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells] for cells in (line.split("|") for line in page) if cells[1:]
    }

    def percent(share: str) -> str:
        tenths = (int(share.replace(".", "")) + 5) // 10
        return f"{tenths // 10}.{tenths % 10} %"

    for kind, row in rates["shares"].items():
        written = rows[kind][2:7]
        shares = [percent(row[name]) for name in ("minimum", "planned", "realised", "realised_by_value")]
        assert written == [*shares[:2], str(row["count"]), *shares[2:]], kind
