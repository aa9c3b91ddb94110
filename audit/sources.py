"""Where the auditor finds stores, log, bank files, mails and the access system: a state file, arguments, environment.

Later ones win: RECOUP_…, then `--state`, then single arguments.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audit.stores import QUERIES


@dataclass(slots=True)
class Sources:
    """Addresses. What is missing is not looked at, and the report says so."""

    dsns: dict[str, str] = field(default_factory=dict)
    kafka: str = ""
    blobs: Path | None = None
    mails: Path | None = None
    access_journal: Path | None = None


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m audit",
        description="Proves the books from stores, log and original bank files. Exit code 1 when anything differs.",
    )
    made.add_argument("--state", type=Path, help="state file of the one-machine stack, such as .local/state.json")
    made.add_argument("--dsn", action="append", default=[], metavar="SERVICE=ADDRESS", help="database of a service")
    made.add_argument("--kafka", default="", metavar="HOST:PORT", help="bootstrap address of the broker")
    made.add_argument("--blobs", type=Path, help="folder of the original files, named by hash")
    made.add_argument("--mails", type=Path, help="folder of received mails (.eml)")
    made.add_argument("--access-journal", type=Path, help="what the access system accepted (.jsonl)")
    made.add_argument("--json", action="store_true", help="one JSON object instead of a page")
    return made


def sources_of(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Sources:
    """Raises ValueError with what to give when an address cannot be read."""
    found = _of_environment(environment)
    if arguments.state is not None:
        _add_state(found, arguments.state)
    for given in arguments.dsn:
        service, _, address = given.partition("=")
        if service not in QUERIES or not address:
            raise ValueError(f"--dsn {given}: write SERVICE=ADDRESS with one of {', '.join(QUERIES)}")
        found.dsns[service] = address
    found.kafka = arguments.kafka or found.kafka
    found.blobs = arguments.blobs or found.blobs
    found.mails = arguments.mails or found.mails
    found.access_journal = arguments.access_journal or found.access_journal
    if not found.dsns and not found.kafka:
        raise ValueError("nothing to audit: give --state, or --dsn and --kafka")
    return found


def _of_environment(environment: Mapping[str, str]) -> Sources:
    dsns = {s: environment[key] for s in QUERIES if (key := f"RECOUP_{s.upper()}_DSN") in environment}
    found = Sources(dsns=dsns, kafka=environment.get("KAFKA_BOOTSTRAP_SERVERS", ""))
    if "RECOUP_LOCAL_DIR" in environment:
        _add_folder(found, Path(environment["RECOUP_LOCAL_DIR"]))
    if "RECOUP_BLOB_DIR" in environment:
        found.blobs = Path(environment["RECOUP_BLOB_DIR"])
    return found


def _add_state(found: Sources, path: Path) -> None:
    try:
        info = json.loads(path.read_text(encoding="utf-8"))["info"]
        if info is None:
            raise ValueError("the stack has not started yet")
        found.dsns |= {service: address["dsn"] for service, address in info["databases"].items() if service in QUERIES}
        found.kafka = info["kafka_bootstrap"]
        _add_folder(found, Path(info["local_dir"]))
    except (OSError, KeyError, TypeError, ValueError) as problem:
        raise ValueError(
            f"--state {path} cannot be used ({problem}): start the stack, or give --dsn and --kafka"
        ) from problem


def _add_folder(found: Sources, local: Path) -> None:
    found.blobs = local / "blobs"
    found.mails = local / "mail"
    found.access_journal = local / "access_system" / "received.jsonl"
