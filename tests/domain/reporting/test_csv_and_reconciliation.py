"""CSV that spreadsheets cannot run, and figures beside what was vouched for."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reporting.domain.csv_cells import FORMULA_STARTS, neutral, write_csv
from services.reporting.domain.reconciliation import Figure, compare

TOTALS = {
    "items": {"EUR": {"debit_minor": 1000, "credit_minor": 50}},
    "bank_accounts": {"EUR-1": {"currency": "EUR", "credits_minor": 700, "applied_minor": 700, "opening_minor": 0}},
}


@pytest.mark.parametrize("text", ["=1+1", "+49 30", "-SUM(A1)", "@cmd", "\tx", "\rx"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert neutral(text) == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert (neutral(-5), neutral(None), neutral("plain")) == ("-5", "", "plain")


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")), min_size=1, max_size=5))
def test_csv_reads_back_and_no_cell_starts_like_a_formula(cells: list[str]) -> None:
    columns = [f"c{n}" for n in range(len(cells))]
    text = write_csv(columns, [dict(zip(columns, cells, strict=True))])
    _, read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [neutral(cell) for cell in cells]
    assert not any(cell.startswith(FORMULA_STARTS) for cell in read)


def found(**changes: int) -> dict[tuple[str, str, str], tuple[int, int]]:
    amounts = {
        ("items", "debit_minor", "EUR"): 1000,
        ("items", "credit_minor", "EUR"): 50,
        ("EUR-1", "credits_minor", "EUR"): 700,
        ("EUR-1", "applied_minor", "EUR"): 700,
    }
    amounts |= {("items", f"{name}_minor", "EUR"): minor for name, minor in changes.items()}
    return {key: (minor, 0) for key, minor in amounts.items()}


def test_equal_figures_agree() -> None:
    assert all(figure.agrees for figure in compare(TOTALS, found()))


def test_a_cent_that_differs_is_shown_and_nothing_is_plugged() -> None:
    rows = compare(TOTALS, found(debit=1001))
    (wrong,) = [figure for figure in rows if not figure.agrees]
    assert wrong == Figure("items", "debit_minor", "EUR", expected_minor=1000, found_minor=1001)
    assert wrong.difference_minor == 1


def test_a_figure_that_only_one_side_has_is_a_difference() -> None:
    rows = compare(TOTALS, {})
    assert {(r.figure, r.difference_minor) for r in rows if not r.agrees} == {
        ("debit_minor", -1000), ("credit_minor", -50), ("credits_minor", -700), ("applied_minor", -700),
    }  # fmt: skip


def test_without_totals_nothing_agrees() -> None:
    rows = compare(None, found())
    assert rows and not any(figure.agrees for figure in rows)
    assert {figure.difference_minor for figure in rows} == {None}
