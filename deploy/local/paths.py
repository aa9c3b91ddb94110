"""Where the one-machine stack keeps its files: everything under one ignored folder.

The folder is `.local/` of the checkout, or `RECOUP_LOCAL_DIR`. Downloads that every run shares (the Kafka jars, the
class data archive) live in its `cache/`, or in `RECOUP_CACHE_DIR`, so that a fresh start does not fetch them again.
"""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def local_dir() -> Path:
    """The folder of the stack's state, absolute; it need not exist yet."""
    return Path(os.environ.get("RECOUP_LOCAL_DIR") or REPOSITORY / ".local").resolve()


def cache_dir() -> Path:
    """The folder of downloads that outlive `make clean`, absolute; it need not exist yet."""
    return Path(os.environ.get("RECOUP_CACHE_DIR") or local_dir() / "cache").resolve()
