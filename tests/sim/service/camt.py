"""Bank lines of a plan and the camt.053 file that states them. One statement per banking day."""

from dataclasses import dataclass
from datetime import date
from typing import Literal
from xml.sax.saxutils import escape

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"


@dataclass(frozen=True)
class Line:
    """A bank line. `kind` is what the payer meant; `number` and `account_id` are what it is for, as the plan knows."""

    ref: str
    side: Literal["credit", "debit"]
    amount_minor: int
    kind: str
    text: str
    name: str = ""
    iban: str = ""
    number: str = ""
    account_id: str = ""

    @property
    def signed_minor(self) -> int:
        return self.amount_minor if self.side == "credit" else -self.amount_minor


def statement(iban: str, number: int, on: date, opening_minor: int, lines: list[Line]) -> bytes:
    """The statement of a banking day; its closing balance follows from its lines."""
    closing = opening_minor + sum(line.signed_minor for line in lines)
    entries = "".join(_entry(n, on, line) for n, line in enumerate(lines, 1))
    span = f"<FrToDt><FrDtTm>{on}T00:00:00+01:00</FrDtTm><ToDtTm>{on}T23:59:59+01:00</ToDtTm></FrToDt>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="{NAMESPACE}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>M-{number}</MsgId><CreDtTm>{on}T22:10:00+01:00</CreDtTm></GrpHdr>"
        f"<Stmt><Id>S-{number}</Id><ElctrncSeqNb>{number}</ElctrncSeqNb><CreDtTm>{on}T22:10:00+01:00</CreDtTm>{span}"
        f"<Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        f"{_balance('OPBD', opening_minor, on)}{_balance('CLBD', closing, on)}{entries}"
        f"</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def money(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def _balance(code: str, amount_minor: int, on: date) -> str:
    side = "CRDT" if amount_minor >= 0 else "DBIT"
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{money(abs(amount_minor))}</Amt>'
        f"<CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>{on}</Dt></Dt></Bal>"
    )


def _entry(n: int, on: date, line: Line) -> str:
    side = "CRDT" if line.side == "credit" else "DBIT"
    family, sub = {"charge": ("MDOP", "CHRG"), "return": ("IDDT", "UPDD")}.get(line.kind, ("RCDT", "ESCT"))
    domain = "ACMT" if line.kind == "charge" else "PMNT"
    amount = f'<Amt Ccy="EUR">{money(line.amount_minor)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
    code = f"<BkTxCd><Domn><Cd>{domain}</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub}</SubFmlyCd></Fmly></Domn></BkTxCd>"
    reversal = "<RvslInd>true</RvslInd>" if line.kind == "return" else ""
    own = f"{line.ref}-{n}-{on:%m%d}"
    return (
        f"<Ntry><NtryRef>{n}</NtryRef>{amount}{reversal}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt>"
        f"<ValDt><Dt>{on}</Dt></ValDt><AcctSvcrRef>{own}</AcctSvcrRef>{code}<NtryDtls><TxDtls>"
        f"<Refs><AcctSvcrRef>{own}</AcctSvcrRef><EndToEndId>E2E-{line.ref}</EndToEndId></Refs>{amount}"
        f"{_payer(line)}<RmtInf><Ustrd>{escape(line.text)}</Ustrd></RmtInf>"
        f"{'<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>' if line.kind == 'return' else ''}</TxDtls></NtryDtls></Ntry>"
    )


def _payer(line: Line) -> str:
    if not line.name:
        return ""
    account = f"<DbtrAcct><Id><IBAN>{line.iban}</IBAN></Id></DbtrAcct>" if line.iban else ""
    return f"<RltdPties><Dbtr><Pty><Nm>{escape(line.name)}</Nm></Pty></Dbtr>{account}</RltdPties>"
