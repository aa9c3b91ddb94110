"""Bank statements as camt.053 files, version 02 or 08, in the element order of the schemas.

The writer differs between the versions only where the schemas do: `Sts`, `BIC`,
the party wrapper, charges and discount amounts.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from sample.bank import Detail, Entry, Statement
from sample.payers import Payer
from sample.remittance import Structured

FAMILIES = {
    "transfer": ("RCDT", "ESCT"),
    "direct_debit": ("IDDT", "ESDD"),
    "return": ("IDDT", "UPDD"),
    "recall": ("RCDT", "RRTN"),
    "supplier": ("ICDT", "ESCT"),
    "salary": ("ICDT", "SALA"),
    "charge": ("MDOP", "CHRG"),
}
OWNER = "Harbour Data Rooms GmbH"


def decimal_text(amount_minor: int) -> str:
    """Major units with two decimals; all currencies of the sample have two."""
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{abs(amount_minor) // 100}.{abs(amount_minor) % 100:02d}"


def _text(parent: Element, tag: str, text: str) -> Element:
    child = SubElement(parent, tag)
    child.text = text
    return child


def _path(parent: Element, *tags: str) -> Element:
    for tag in tags:
        parent = SubElement(parent, tag)
    return parent


def _money(parent: Element, tag: str, amount_minor: int, currency: str) -> None:
    _text(parent, tag, decimal_text(amount_minor)).set("Ccy", currency)


def _indicator(side: str) -> str:
    return "CRDT" if side == "credit" else "DBIT"


class Writer:
    """Writes one statement; `modern` is true for version 08."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._account = statement.account
        self._currency = statement.account.currency
        self._modern = statement.account.version == "08"

    def file(self) -> bytes:
        root = Element("Document", xmlns=f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{self._account.version}")
        body = _path(root, "BkToCstmrStmt")
        head = _path(body, "GrpHdr")
        _text(head, "MsgId", f"M-{self._statement.id}")
        _text(head, "CreDtTm", self._created_at())
        self._write_statement(_path(body, "Stmt"))
        indent(root, space="  ")
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode").encode() + b"\n"

    def _created_at(self) -> str:
        return f"{self._statement.on.isoformat()}T22:10:00+01:00"

    def _write_statement(self, node: Element) -> None:
        statement, on = self._statement, self._statement.on.isoformat()
        _text(node, "Id", statement.id)
        _text(node, "ElctrncSeqNb", str(statement.number))
        _text(node, "CreDtTm", self._created_at())
        span = _path(node, "FrToDt")
        _text(span, "FrDtTm", f"{on}T00:00:00+01:00")
        _text(span, "ToDtTm", f"{on}T23:59:59+01:00")
        account = _path(node, "Acct")
        _text(_path(account, "Id"), "IBAN", self._account.iban)
        _text(account, "Ccy", self._currency)
        _text(_path(account, "Ownr"), "Nm", OWNER)
        servicer = _path(account, "Svcr", "FinInstnId")
        _text(servicer, self._bic_tag, self._account.bic)
        _text(servicer, "Nm", self._account.bank)
        self._balance(node, "OPBD", statement.opening_minor)
        self._balance(node, "CLBD", statement.closing_minor)
        self._summary(node)
        for entry in statement.entries:
            self._entry(_path(node, "Ntry"), entry)

    @property
    def _bic_tag(self) -> str:
        return "BICFI" if self._modern else "BIC"

    def _balance(self, parent: Element, code: str, amount_minor: int) -> None:
        balance = _path(parent, "Bal")
        _text(_path(balance, "Tp", "CdOrPrtry"), "Cd", code)
        _money(balance, "Amt", abs(amount_minor), self._currency)
        _text(balance, "CdtDbtInd", _indicator("credit" if amount_minor >= 0 else "debit"))
        _text(_path(balance, "Dt"), "Dt", self._statement.on.isoformat())

    def _summary(self, parent: Element) -> None:
        summary = _path(parent, "TxsSummry")
        for tag, side in (("TtlCdtNtries", "credit"), ("TtlDbtNtries", "debit")):
            node = _path(summary, tag)
            _text(node, "NbOfNtries", str(sum(1 for entry in self._statement.entries if entry.side == side)))
            _text(node, "Sum", decimal_text(self._statement.total_minor(side)))

    def _entry(self, node: Element, entry: Entry) -> None:
        on = self._statement.on.isoformat()
        _text(node, "NtryRef", str(entry.ordinal))
        _money(node, "Amt", entry.amount_minor, self._currency)
        _text(node, "CdtDbtInd", _indicator(entry.side))
        if entry.purpose == "return":
            _text(node, "RvslInd", "true")
        status = _path(node, "Sts")
        if self._modern:
            _text(status, "Cd", "BOOK")
        else:
            status.text = "BOOK"
        _text(_path(node, "BookgDt"), "Dt", on)
        _text(_path(node, "ValDt"), "Dt", on)
        _text(node, "AcctSvcrRef", entry.reference)
        self._code(node, entry)
        details = _path(node, "NtryDtls")
        if len(entry.details) > 1:
            batch = _path(details, "Btch")
            _text(batch, "NbOfTxs", str(len(entry.details)))
            _money(batch, "TtlAmt", entry.amount_minor, self._currency)
            _text(batch, "CdtDbtInd", _indicator(entry.side))
        for detail in entry.details:
            self._detail(_path(details, "TxDtls"), entry, detail)
        if entry.purpose in ("charge", "supplier", "salary"):
            _text(node, "AddtlNtryInf", entry.details[0].text)

    def _code(self, node: Element, entry: Entry) -> None:
        recalled = entry.purpose == "return" and entry.details[0].mandate == ""
        family, sub_family = FAMILIES["recall" if recalled else entry.purpose]
        if self._currency != "EUR" and sub_family in ("ESCT", "ESDD"):
            sub_family = "XBCT" if sub_family == "ESCT" else "PMDD"
        domain = _path(node, "BkTxCd", "Domn")
        _text(domain, "Cd", "ACMT" if entry.purpose == "charge" else "PMNT")
        branch = _path(domain, "Fmly")
        _text(branch, "Cd", family)
        _text(branch, "SubFmlyCd", sub_family)

    def _detail(self, node: Element, entry: Entry, detail: Detail) -> None:
        self._references(_path(node, "Refs"), entry, detail)
        if self._modern:
            _money(node, "Amt", detail.amount_minor + detail.fee_minor, self._currency)
            _text(node, "CdtDbtInd", _indicator(entry.side))
        self._amounts(node, detail)
        self._charges(node, detail)
        self._parties(node, detail)
        self._remittance(node, detail)
        if detail.returned is not None:
            reason = _path(node, "RtrInf", "Rsn")
            code = detail.returned.return_reason
            _text(reason, "Prtry" if code.startswith("R") else "Cd", code)

    def _references(self, node: Element, entry: Entry, detail: Detail) -> None:
        if len(entry.details) == 1:
            _text(node, "AcctSvcrRef", entry.reference)
        _text(node, "EndToEndId", detail.end_to_end)
        if detail.uetr and self._modern:
            _text(node, "UETR", detail.uetr)
        _text(node, "TxId", detail.tx_id)
        if detail.mandate:
            _text(node, "MndtId", detail.mandate)

    def _bank_fee(self, detail: Detail) -> int:
        return sum(part.fee_minor for part in detail.payment.parts) if detail.payment else 0

    def _tells_fee(self, detail: Detail) -> bool:
        """Two in three banks show what was kept back on the way; the transaction id decides which."""
        return self._bank_fee(detail) > 0 and int(detail.tx_id[-1]) % 3 > 0

    def _amounts(self, node: Element, detail: Detail) -> None:
        amounts = _path(node, "AmtDtls")
        instructed = detail.amount_minor
        if self._tells_fee(detail):
            instructed += self._bank_fee(detail)
        _money(_path(amounts, "InstdAmt"), "Amt", instructed, self._currency)
        _money(_path(amounts, "TxAmt"), "Amt", detail.amount_minor + detail.fee_minor, self._currency)

    def _charges(self, node: Element, detail: Detail) -> None:
        fee = detail.fee_minor or (self._bank_fee(detail) if self._tells_fee(detail) else 0)
        if not fee:
            return
        charges = _path(node, "Chrgs")
        _money(charges, "TtlChrgsAndTaxAmt", fee, self._currency)
        record = _path(charges, "Rcrd") if self._modern else charges
        _money(record, "Amt", fee, self._currency)
        _text(record, "CdtDbtInd", "DBIT")
        if self._modern:
            _text(record, "ChrgInclInd", "true")
        _text(_path(record, "Tp"), "Cd", "CRED" if detail.payment else "DEBT")

    def _parties(self, node: Element, detail: Detail) -> None:
        payment = detail.payment or detail.returned
        if payment is None:
            parties = _path(node, "RltdPties")
            _text(self._party(_path(parties, "Cdtr")), "Nm", detail.counterparty)
            return
        payer = payment.payer
        assert payer is not None
        self._debtor(node, payer)

    def _party(self, node: Element) -> Element:
        return _path(node, "Pty") if self._modern else node

    def _debtor(self, node: Element, payer: Payer) -> None:
        parties = _path(node, "RltdPties")
        debtor = self._party(_path(parties, "Dbtr"))
        _text(debtor, "Nm", payer.name)
        if payer.country:
            address = _path(debtor, "PstlAdr")
            for tag, value in (("StrtNm", payer.street), ("BldgNb", payer.house), ("PstCd", payer.postcode)):
                if value:
                    _text(address, tag, value)
            _text(address, "TwnNm", payer.town)
            _text(address, "Ctry", payer.country)
        account = payer.account
        if account is not None:
            number = _path(parties, "DbtrAcct", "Id")
            if account.is_iban:
                _text(number, "IBAN", account.number)
            else:
                _text(_path(number, "Othr"), "Id", account.number)
        if payer.ultimate:
            _text(self._party(_path(parties, "UltmtDbtr")), "Nm", payer.ultimate)
        if account is not None:
            agent = _path(node, "RltdAgts", "DbtrAgt", "FinInstnId")
            _text(agent, self._bic_tag, account.bic)
            if account.routing:
                member = _path(agent, "ClrSysMmbId")
                _text(_path(member, "ClrSysId"), "Cd", "USABA")
                _text(member, "MmbId", account.routing)
            _text(agent, "Nm", account.bank)

    def _remittance(self, node: Element, detail: Detail) -> None:
        payment = detail.payment or detail.returned
        citation = payment.citation if payment else None
        texts = citation.texts if citation else [detail.text]
        structured = citation.structured if citation else []
        if not texts and not structured:
            return
        information = _path(node, "RmtInf")
        for text in texts:
            _text(information, "Ustrd", text)
        for block in structured:
            self._structured(_path(information, "Strd"), block)

    def _structured(self, node: Element, block: Structured) -> None:
        if block.creditor_reference:
            reference = _path(node, "CdtrRefInf")
            _text(_path(reference, "Tp", "CdOrPrtry"), "Cd", "SCOR")
            _text(reference, "Ref", block.creditor_reference)
            return
        document = _path(node, "RfrdDocInf")
        _text(_path(document, "Tp", "CdOrPrtry"), "Cd", block.document_kind)
        _text(document, "Nb", block.number)
        if block.document_on:
            _text(document, "RltdDt", block.document_on.isoformat())
        amounts = _path(node, "RfrdDocAmt")
        if block.document_kind == "CREN":
            _money(amounts, "CdtNoteAmt", block.remitted_minor, self._currency)
            return
        _money(amounts, "DuePyblAmt", block.due_minor, self._currency)
        if block.discount_minor:
            parent = _path(amounts, "DscntApldAmt") if self._modern else amounts
            _money(parent, "Amt" if self._modern else "DscntApldAmt", block.discount_minor, self._currency)
        if block.deduction_minor:
            adjustment = _path(amounts, "AdjstmntAmtAndRsn")
            _money(adjustment, "Amt", block.deduction_minor, self._currency)
            _text(adjustment, "CdtDbtInd", "DBIT")
            _text(adjustment, "Rsn", _reason_code(block.deduction_reason))
            _text(adjustment, "AddtlInf", block.deduction_reason)
        _money(amounts, "RmtdAmt", block.remitted_minor, self._currency)


def _reason_code(reason: str) -> str:
    """Four characters as the schema allows."""
    codes = {"SERVICE_CREDIT": "SVCR", "PRICE": "PRIC", "TAX_WITHHELD": "WHTX", "PENALTY": "PENL"}
    return codes.get(reason, "DISC")
