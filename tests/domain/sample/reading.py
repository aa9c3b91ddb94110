"""Reads a generated run back from its files, with none of the generator's own code.

Amounts become integer minor units; a bank line is known by account, entry reference and detail index.
"""

import csv
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring


def minor(text: str) -> int:
    whole, cents = text.split(".")
    assert len(cents) == 2, text
    return int(whole) * 100 + (int(cents) if not text.startswith("-") else -int(cents))


@dataclass
class Paper:
    """One statement file as it stands."""

    path: Path
    day: str
    version: str
    node: Element
    space: dict[str, str]

    def text(self, path: str, node: Element | None = None) -> str:
        found = (self.node if node is None else node).find(path, self.space)
        return found.text or "" if found is not None else ""

    def all(self, path: str, node: Element | None = None) -> list[Element]:
        return (self.node if node is None else node).findall(path, self.space)

    def balance(self, code: str) -> int:
        for node in self.all("n:Bal"):
            if self.text("n:Tp/n:CdOrPrtry/n:Cd", node) == code:
                sign = 1 if self.text("n:CdtDbtInd", node) == "CRDT" else -1
                return sign * minor(self.text("n:Amt", node))
        raise AssertionError(f"{self.path} has no balance {code}")


@dataclass
class Run:
    folder: Path

    @cached_property
    def truth(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "truth.json").read_text()))

    @cached_property
    def rates(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "rates.json").read_text()))

    @cached_property
    def company(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "company.json").read_text()))

    @property
    def day_folders(self) -> list[Path]:
        return sorted((self.folder / "days").iterdir())

    @cached_property
    def actions(self) -> dict[str, dict[str, Any]]:
        return {day.name: json.loads((day / "actions.json").read_text()) for day in self.day_folders}

    def rows(self, name: str) -> list[dict[str, str]]:
        """All CSV rows of a record type in the order of feeding, each with `fed_on`."""
        found: list[dict[str, str]] = []
        for day in self.day_folders:
            for path in sorted(day.glob(f"*_erp_{name}.csv")):
                reader = csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))
                found += [{**row, "fed_on": day.name} for row in reader]
        return found

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for day in self.day_folders:
            for path in sorted(day.glob("*.json")):
                if path.name != "actions.json":
                    found += [{**record, "fed_on": day.name} for record in json.loads(path.read_bytes())["records"]]
        return found

    @cached_property
    def papers(self) -> list[Paper]:
        found = []
        for day in self.day_folders:
            for path in sorted(day.glob("*_bank_*.xml")):
                root = fromstring(path.read_bytes())
                uri = root.tag[1:].split("}")[0]
                space = {"n": uri}
                node = root.find("n:BkToCstmrStmt/n:Stmt", space)
                assert node is not None
                found.append(Paper(path, day.name, uri[-2:], node, space))
        return found

    @cached_property
    def credits(self) -> dict[tuple[str, str, int], tuple[Paper, Element, int]]:
        """Every credit detail of every statement with its amount."""
        found = {}
        account_of = {account["iban"]: account["id"] for account in self.company["bank_accounts"]}
        for paper in self.papers:
            account = account_of[paper.text("n:Acct/n:Id/n:IBAN")]
            for entry in paper.all("n:Ntry"):
                if paper.text("n:CdtDbtInd", entry) == "CRDT":
                    for index, detail in enumerate(paper.all("n:NtryDtls/n:TxDtls", entry), start=1):
                        amount = minor(paper.text("n:AmtDtls/n:TxAmt/n:Amt", detail))
                        found[(account, paper.text("n:AcctSvcrRef", entry), index)] = (paper, detail, amount)
        return found
