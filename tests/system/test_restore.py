"""A service's database is lost in the middle of a day and had again from a base backup and the archived WAL.

It goes on from its own cursors: same state at each day's close as the undisturbed run, no mail twice, audit passes.
From an older backup it freezes what it has told since, and does nothing for that by itself.
"""

from pathlib import Path

import pytest

from deploy.local.restore_drill import drill
from deploy.local.state import StackInfo
from tests.system.quarter import differing, mails_per_request, state_of

pytestmark = [pytest.mark.system, pytest.mark.chaos, pytest.mark.timeout(300)]


@pytest.mark.parametrize("service", ["cash_application", "notifications", "collections"])
def test_a_lost_database_is_had_again_to_its_last_commit_and_nothing_is_lost_or_done_twice(
    undisturbed: tuple[StackInfo, list[str]], quarter: Path, tmp_path: Path, service: str
) -> None:
    tmp_path.chmod(0o755)
    states: list[str] = []
    mails: list[set[int]] = []

    async def day_ended(day: int, info: StackInfo) -> None:
        states.append(await state_of(info))
        mails.append(set((await mails_per_request(info)).values()))

    report = drill(service, tmp_path, quarter, say=lambda text: None, day_ended=day_ended)
    for day, (calm, restored) in enumerate(zip(undisturbed[1], states, strict=True)):
        assert differing(calm, restored) == [], f"day {day}"
    assert mails[-1] == {1}
    assert report.passed, report.text()
    assert report.backup_bytes > 0 and report.away_s > 0


@pytest.mark.parametrize("service", ["notifications", "collections", "cash_application"])
def test_from_an_older_backup_nothing_leaves_by_itself_for_what_was_told_since(
    quarter: Path, tmp_path: Path, service: str
) -> None:
    """A day is closed behind the backup; the next one is fed with keys frozen; then a person releases them all."""
    tmp_path.chmod(0o755)
    mails: list[set[int]] = []

    async def day_ended(day: int, info: StackInfo) -> None:
        mails.append(set((await mails_per_request(info)).values()))

    report = drill(service, tmp_path, quarter, say=lambda text: None, day_ended=day_ended, older=True)
    assert report.passed, report.text()
    assert report.loss is not None and report.loss.released >= len(report.loss.expected)
    assert len(mails) == 3, "the days behind the restore were closed"
    assert mails[-1] == {1}
