"""The bank files: balances chain and add up, numbers and references are unique, check digits hold."""

from collections import defaultdict
from datetime import date, timedelta

from holidays.financial import EuropeanCentralBank
from stdnum import iban, iso11649

from tests.domain.sample.reading import Paper, Run, minor

FORMS = (
    "n:Ntry/n:NtryDtls/n:Btch",
    "n:Ntry/n:RvslInd",
    ".//n:Ustrd",
    ".//n:CdtrRefInf/n:Ref",
    ".//n:RfrdDocInf/n:Nb",
    ".//n:AdjstmntAmtAndRsn",
    ".//n:CdtNoteAmt",
    ".//n:DscntApldAmt",
    ".//n:RtrInf/n:Rsn/n:Cd",
    ".//n:RtrInf/n:Rsn/n:Prtry",
    ".//n:Chrgs",
    ".//n:UltmtDbtr",
    ".//n:UETR",
    ".//n:DbtrAcct/n:Id/n:Othr/n:Id",
)


def by_account(run: Run) -> dict[str, list[Paper]]:
    found: dict[str, list[Paper]] = defaultdict(list)
    for paper in run.papers:
        found[paper.text("n:Acct/n:Id/n:IBAN")].append(paper)
    return found


def test_every_bank_account_has_a_statement_in_every_day_folder(run: Run) -> None:
    days = [folder.name for folder in run.day_folders]
    assert len(by_account(run)) == 3
    for papers in by_account(run).values():
        assert [paper.day for paper in papers] == days


def test_opening_balances_are_the_closing_balances_of_the_day_before(run: Run) -> None:
    for papers in by_account(run).values():
        for earlier, later in zip(papers, papers[1:], strict=False):
            assert later.balance("OPBD") == earlier.balance("CLBD"), later.path


def test_entries_add_up_to_the_closing_balance_and_details_to_their_entry(run: Run) -> None:
    for paper in run.papers:
        balance = paper.balance("OPBD")
        for entry in paper.all("n:Ntry"):
            amount = minor(paper.text("n:Amt", entry))
            balance += amount if paper.text("n:CdtDbtInd", entry) == "CRDT" else -amount
            details = paper.all("n:NtryDtls/n:TxDtls", entry)
            assert sum(minor(paper.text("n:AmtDtls/n:TxAmt/n:Amt", detail)) for detail in details) == amount
            if len(details) > 1:
                assert paper.text("n:NtryDtls/n:Btch/n:NbOfTxs", entry) == str(len(details))
        assert balance == paper.balance("CLBD"), paper.path
        for side, tag in (("CRDT", "TtlCdtNtries"), ("DBIT", "TtlDbtNtries")):
            entries = [entry for entry in paper.all("n:Ntry") if paper.text("n:CdtDbtInd", entry) == side]
            total = sum(minor(paper.text("n:Amt", entry)) for entry in entries)
            assert minor(paper.text(f"n:TxsSummry/n:{tag}/n:Sum")) == total


def test_statement_numbers_run_without_a_gap(run: Run) -> None:
    for papers in by_account(run).values():
        numbers = [int(paper.text("n:ElctrncSeqNb")) for paper in papers]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_statement_lies_in_the_folder_of_the_next_target_business_day(quarter: Run) -> None:
    closed = EuropeanCentralBank(years=[2025, 2026])
    for paper in quarter.papers:
        day = date.fromisoformat(paper.text("n:FrToDt/n:FrDtTm")[:10])
        for node in paper.all("n:Ntry/n:BookgDt/n:Dt"):
            assert node.text == day.isoformat()
        assert day.weekday() < 5 and day not in closed
        day += timedelta(days=1)
        while day.weekday() > 4 or day in closed:
            day += timedelta(days=1)
        assert paper.day == day.isoformat()


def test_the_banks_references_are_unique_over_the_run(run: Run) -> None:
    references = [node.text for paper in run.papers for node in paper.all("n:Ntry/n:AcctSvcrRef")]
    assert references and len(references) == len(set(references))
    ids = [paper.text("n:Id") for paper in run.papers]
    assert len(ids) == len(set(ids))


def test_both_versions_are_delivered_in_their_own_forms(quarter: Run) -> None:
    versions = {paper.text("n:Acct/n:Ccy"): paper.version for paper in quarter.papers}
    assert versions == {"EUR": "08", "USD": "02", "GBP": "08"}
    for paper in quarter.papers:
        modern = paper.version == "08"
        for entry in paper.all("n:Ntry"):
            assert bool(paper.all("n:Sts/n:Cd", entry)) == modern
        assert not paper.all(".//n:BIC" if modern else ".//n:BICFI")
        assert not paper.all(".//n:Dbtr/n:Nm" if modern else ".//n:Dbtr/n:Pty")


def test_the_papers_hold_the_forms_that_readers_must_know(quarter: Run) -> None:
    for path in FORMS:
        assert any(paper.all(path) for paper in quarter.papers), path


def test_creditor_references_have_valid_check_digits(run: Run) -> None:
    references = [row["payment_reference"] for row in run.rows("documents") if row["document_type"] != "cancellation"]
    references = [reference for reference in references if reference]
    references += [record["payment_reference"] for record in run.records if "payment_reference" in record]
    assert len(references) > 200 and len(references) == len(set(references))
    assert all(iso11649.is_valid(reference) for reference in references)


def test_account_numbers_have_valid_check_digits(run: Run) -> None:
    numbers = [account["iban"] for account in run.company["bank_accounts"]]
    for row in run.rows("customers"):
        known = [number for number in row["bank_accounts"].split(";") if number]
        numbers += [number for number in known if not (number.isdigit() and row["country"] == "US")]
    numbers += [node.text or "" for paper in run.papers for node in paper.all(".//n:DbtrAcct/n:Id/n:IBAN")]
    assert len(numbers) > 100
    assert [number for number in numbers if not iban.is_valid(number)] == []
