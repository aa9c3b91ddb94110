"""The truth: it names every bank line, sums to it, and agrees with what the files say."""

from collections import defaultdict
from typing import Any

from stdnum import iso11649

from tests.domain.sample.reading import Run, minor


def items_of(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["source_document_id"], item["line"]): item for item in run.truth["items"]}


def test_every_credit_of_the_bank_has_exactly_one_truth(run: Run) -> None:
    keys = [(one["bank_account"], one["entry_reference"], one["detail_index"]) for one in run.truth["payments"]]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(run.credits)


def test_the_truth_of_a_payment_sums_to_its_bank_line(run: Run) -> None:
    for payment in run.truth["payments"]:
        key = (payment["bank_account"], payment["entry_reference"], payment["detail_index"])
        paid = sum(part["cash_minor"] for part in payment["paid"]) + payment["surplus_minor"]
        assert paid == payment["amount_minor"] == run.credits[key][2] > 0


def test_every_debit_of_the_bank_is_a_return_or_has_nothing_to_do_with_receivables(run: Run) -> None:
    debits = [one["entry_reference"] for one in run.truth["returns"] + run.truth["other_debits"]]
    on_paper = [
        paper.text("n:AcctSvcrRef", entry)
        for paper in run.papers
        for entry in paper.all("n:Ntry")
        if paper.text("n:CdtDbtInd", entry) == "DBIT"
    ]
    assert sorted(debits) == sorted(on_paper)


def test_a_return_takes_back_an_earlier_payment_in_full(quarter: Run) -> None:
    payments = {payment["ref"]: payment for payment in quarter.truth["payments"]}
    assert quarter.truth["returns"]
    for back in quarter.truth["returns"]:
        payment = payments[back["payment_ref"]]
        assert back["amount_minor"] == payment["amount_minor"] and back["end_to_end"] == payment["end_to_end"]
        assert back["tx_id"] == payment["tx_id"] and back["booked_on"] == payment["returned_on"] > payment["booked_on"]


def test_no_item_is_paid_beyond_its_amount_or_by_another_customer(run: Run) -> None:
    items = items_of(run)
    for item in items.values():
        assert 0 <= item["remaining_minor"] <= item["original_minor"], item
    for payment in run.truth["payments"]:
        for part in payment["paid"]:
            item = items[(part["source_document_id"], part["line"])]
            assert item["account_id"] == payment["account_id"] and item["currency"] == payment["currency"]


def test_what_remains_is_the_original_less_credits_and_payments_in_the_files(quarter: Run) -> None:
    relief: dict[tuple[str, str], int] = defaultdict(int)
    for row in quarter.rows("documents"):
        for pair in filter(None, row["applies_to"].split(";")):
            target, amount = pair.split("=")
            relief[(target, "001")] += minor(amount)
            relief[(row["source_document_id"], "001")] += minor(amount)
    for record in quarter.records:
        for pair in record.get("applies_to", []):
            relief[(pair["source_document_id"], "001")] += minor(pair["amount"])
            relief[(record["source_document_id"], "001")] += minor(pair["amount"])
    for payment in quarter.truth["payments"]:
        for part in payment["paid"] if not payment["returned_on"] else []:
            total = abs(part["cash_minor"]) + part["discount_minor"] + part["fee_minor"]
            relief[(part["source_document_id"], part["line"])] += total
    cancelled = {
        row["source_document_id"]
        for row in [*quarter.rows("documents"), *quarter.records]
        if row.get("document_type", row.get("record_type")) == "cancellation"
    }
    assert cancelled
    for key, item in items_of(quarter).items():
        expected = 0 if key[0] in cancelled else item["original_minor"] - relief[key]
        assert item["remaining_minor"] == expected, key


def test_a_designation_names_what_is_paid_unless_it_is_a_mistake(run: Run) -> None:
    owner = {item["source_document_id"]: item["account_id"] for item in run.truth["items"]}
    by_ref = {payment["ref"]: payment for payment in run.truth["payments"]}
    for payment in run.truth["payments"]:
        designation = payment["designation"]
        named = {one["source_document_id"] for one in designation["documents"]} if designation else set()
        meant = by_ref[payment["repeats"]] if payment["repeats"] else payment
        if designation and not designation["mistaken"]:
            assert named == {part["source_document_id"] for part in meant["paid"]}
        elif designation:
            assert "wrong_reference_hits_other" in payment["kinds"]
            assert all(owner[one] != payment["account_id"] for one in named)
        else:
            assert not payment["cited"] or "wrong_reference" in payment["kinds"]


def test_a_wrong_creditor_reference_fails_its_check_digits(quarter: Run) -> None:
    wrong = [one for one in quarter.truth["payments"] if one["style"] == "wrong" and one["cited"][0].startswith("RF")]
    assert wrong
    assert not any(iso11649.is_valid(one["cited"][0]) for one in wrong)


def test_silent_payments_name_no_document_anywhere_on_the_line(quarter: Run) -> None:
    numbers = {row["number"] for row in quarter.rows("documents") if row["number"]}
    for payment in quarter.truth["payments"]:
        if "no_reference" in payment["kinds"]:
            paper, detail, _ = quarter.credits[
                (payment["bank_account"], payment["entry_reference"], payment["detail_index"])
            ]
            words = " ".join(node.text or "" for node in paper.all(".//n:Ustrd", detail))
            assert not paper.all(".//n:Strd", detail) and payment["end_to_end"] not in numbers
            assert not any(number in words for number in numbers)


def test_an_undecidable_payment_has_two_equal_open_amounts_or_an_unknown_payer(quarter: Run) -> None:
    credited: dict[str, int] = defaultdict(int)
    for row in quarter.rows("documents"):
        for pair in filter(None, row["applies_to"].split(";")):
            credited[pair.split("=")[0]] += minor(pair.split("=")[1])
    decided_on: dict[tuple[str, str], str] = {}
    for payment in quarter.truth["payments"]:
        for part in payment["paid"] if payment["undecidable"] is None and not payment["returned_on"] else []:
            decided_on.setdefault((part["source_document_id"], part["line"]), payment["booked_on"])
    equal: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    for key, item in items_of(quarter).items():
        owed = item["original_minor"] - credited[key[0]]
        equal[(item["account_id"], owed)].append((item["fed_on"], decided_on.get(key, "9999-12-31")))
    assert {one["undecidable"] for one in quarter.truth["payments"]} == {None, "equal_amounts", "unknown_payer"}
    plain = 0
    for payment in quarter.truth["payments"]:
        if payment["undecidable"] == "equal_amounts":
            known = equal[(payment["account_id"], payment["amount_minor"])]
            still_open = [one for one in known if one[0] <= payment["fed_on"] and one[1] >= payment["booked_on"]]
            plain += len(still_open) > 1 and not payment["cited"]
        elif payment["undecidable"]:
            assert payment["payer_relation"] == "stranger"
    assert plain == quarter.rates["shares"]["undecidable"]["count"]


def test_promises_end_as_the_bank_lines_of_their_window_say(run: Run) -> None:
    received: dict[str, int] = defaultdict(int)
    promises = {promise["ref"]: promise for promise in run.truth["promises"]}
    for payment in run.truth["payments"]:
        for promise in promises.values():
            counts = promise["taken_on"] <= payment["booked_on"] <= promise["grace_until_on"]
            if counts and payment["account_id"] == promise["account_id"]:
                assert payment["promise_ref"] in (promise["ref"], None)
                received[promise["ref"]] += payment["amount_minor"]
    settled = [promise for promise in promises.values() if promise["decided_on"]]
    assert {promise["outcome"] for promise in settled} >= {"kept", "broken"}
    for promise in settled:
        total = received[promise["ref"]]
        expected = "kept" if total >= promise["amount_minor"] else "partly_kept" if total else "broken"
        assert promise["outcome"] == expected and total == promise["paid_minor"], promise


def test_promises_and_disputes_of_the_truth_are_those_of_the_actions(run: Run) -> None:
    for kind in ("promises", "disputes"):
        acted = {one["ref"]: one for day in run.actions.values() for one in day[kind]}
        assert acted and set(acted) == {one["ref"] for one in run.truth[kind]}
        for one in run.truth[kind]:
            assert acted[one["ref"]]["account_id"] == one["account_id"]
            assert acted[one["ref"]]["amount_minor"] == one["amount_minor"] > 0
