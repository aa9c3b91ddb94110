"""One generated quarter and one five-day run, written once per test session."""

from pathlib import Path

import pytest

import sample
from tests.domain.sample.reading import Run


@pytest.fixture(scope="session")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("sample") / "quarter"
    sample.generate(7, 60, folder)
    return Run(folder)


@pytest.fixture(scope="session")
def five_days(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("sample") / "five_days"
    sample.generate(7, 5, folder)
    return Run(folder)


@pytest.fixture(params=["quarter", "five_days"])
def run(request: pytest.FixtureRequest) -> Run:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Run) and isinstance(found.folder, Path)
    return found
