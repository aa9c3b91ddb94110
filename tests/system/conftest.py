"""One undisturbed run of the sample's first days, shared by every test that compares with it or only looks at it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import sample
from deploy.local.paths import REPOSITORY
from deploy.local.state import StackInfo
from tests.system.quarter import DAYS, SEED, feed_quarter, stack_in

EXAMPLE = REPOSITORY / "docs" / "examples" / "my-invoice.csv"


@pytest.fixture(scope="session")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, with one more file on its first day: an invoice of a customer that nobody knows is held back."""
    out = tmp_path_factory.mktemp("sample") / "quarter"
    sample.generate(SEED, DAYS, out)
    first = min((out / "days").iterdir())
    (first / "95-unknown-customer.csv").write_text(
        EXAMPLE.read_text().replace("MY-1", "NOBODY-1").replace("my-1", "nobody-1")
    )
    return out


@pytest.fixture(scope="session")
def undisturbed(quarter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StackInfo, list[str]]]:
    """A running stack that was fed the quarter, and the state at each day's close."""
    with stack_in(tmp_path_factory.mktemp("calm")) as stack:
        assert stack.info is not None
        yield stack.info, asyncio.run(feed_quarter(stack.info, quarter))
