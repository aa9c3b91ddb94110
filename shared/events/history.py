"""Holds the golden schemas to their history: `python -m shared.events.history` says what breaks FULL_TRANSITIVE.

A release of the contract is a git tag `events-<major>.<minor>`. Before `events-1.0` all types are drafts: what differs
from the last commit is told and nothing fails. From that tag on every break fails (exit code 1).
"""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

from shared.events.compatibility import Break, breaks_in
from shared.events.schemas import FOLDER, newest_files

FIRST_RELEASE = "events-1.0"
GIT_TIMEOUT_S = 30
RELEASE = re.compile(r"^events-(\d+)\.(\d+)$")
GOLDEN = re.compile(r"^(?P<type>.+)\.v(?P<version>\d+)\.json$")
Files = Mapping[str, str]
"""File name of a golden schema -> its text."""


class HistoryUnreadable(RuntimeError):
    """git does not tell the history; run this in a clone with its tags (`git fetch --tags`)."""


def breaks_of(releases: Iterable[Files], now: Files) -> dict[str, list[Break]]:
    """Per type what breaks FULL_TRANSITIVE between the releases, oldest first, and what stands now."""
    history: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for files in (*releases, now):
        for event_type, schema in _in_order(files):
            if schema not in history[event_type]:
                history[event_type].append(schema)
    kept = {event_type for event_type, _ in _in_order(now)}
    found = {event_type: breaks_in(schemas) for event_type, schemas in history.items()}
    for event_type in sorted(set(history) - kept):
        found[event_type].append(Break("", "type_removed", "was released and is gone; the log still holds its events"))
    return {event_type: breaks for event_type, breaks in sorted(found.items()) if breaks}


def _in_order(files: Files) -> list[tuple[str, dict[str, Any]]]:
    """Type and schema of each golden file, by type and version."""
    named = [(match, text) for name, text in files.items() if (match := GOLDEN.match(name))]
    named.sort(key=lambda pair: (pair[0]["type"], int(pair[0]["version"])))
    return [(match["type"], json.loads(text)) for match, text in named]


def releases_among(tags: Iterable[str]) -> list[str]:
    """The tags that are releases of the contract, oldest first."""
    found = [(int(match[1]), int(match[2]), tag) for tag in tags if (match := RELEASE.match(tag))]
    return [tag for _, _, tag in sorted(found)]


def files_at(root: Path, revision: str) -> dict[str, str]:
    """The golden files as they stood at a tag or commit."""
    folder = FOLDER.relative_to(FOLDER.parents[1]).as_posix()
    listed = _git(root, "ls-tree", "--name-only", revision, f"{folder}/").split()
    return {Path(path).name: _git(root, "show", f"{revision}:{path}") for path in listed}


def files_now(folder: Path = FOLDER) -> dict[str, str]:
    """The golden files of the working tree, those of older versions too."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))} | newest_files()


def check(root: Path, now: Files) -> tuple[bool, dict[str, list[Break]]]:
    """Whether the contract is released, and what breaks it. Raises HistoryUnreadable."""
    releases = releases_among(_git(root, "tag", "--list", "events-*").split())
    is_released = FIRST_RELEASE in releases
    before = [files_at(root, revision) for revision in (releases if is_released else ["HEAD"])]
    return is_released, breaks_of(before, now)


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=GIT_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as problem:
        raise HistoryUnreadable(f"git {arguments[0]} failed: {problem}. {HistoryUnreadable.__doc__}") from problem
    return done.stdout


def main() -> None:
    """Say what breaks; exit code 1 if that is forbidden."""
    try:
        is_released, breaks = check(FOLDER.parents[1], files_now())
    except HistoryUnreadable as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    for event_type, found in breaks.items():
        for one in found:
            typer.echo(f"{event_type}: {one}")
    count = sum(map(len, breaks.values()))
    if is_released:
        typer.echo(f"{count} breaks since {FIRST_RELEASE}; a break needs a new type")
        raise typer.Exit(1 if count else 0)
    typer.echo(f"{count} differences to the last commit; types are drafts until the tag {FIRST_RELEASE}")


if __name__ == "__main__":
    typer.run(main)
