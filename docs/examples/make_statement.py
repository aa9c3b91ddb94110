"""Writes a camt.053 of the banking day after the last one, with one payment of 1,190.00 EUR for the example invoice.

python3 docs/examples/make_statement.py http://127.0.0.1:8601 "$KEY" > my-statement.xml
"""

import json
import sys
import urllib.request
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

ingest, key = sys.argv[1:3]


def get(path: str) -> dict:
    request = urllib.request.Request(f"{ingest}{path}", headers={"X-API-Key": key})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


account = next(a for a in get("/v1/companies/vdr-eu")["bank_accounts"] if a["id"] == "EUR-1")
statements = [s for s in get("/v1/companies/vdr-eu/statements?limit=50")["items"] if s["bank_account"] == "EUR-1"]
last = max(statements, key=lambda s: (s["to_on"], int(s["number"] or 0)))
day = date.fromisoformat(last["to_on"]) + timedelta(days=1)
while day.weekday() >= 5:
    day += timedelta(days=1)
opening = Decimal(last["closing_minor"]) / 100
print(
    (Path(__file__).parent / "my-statement.xml")
    .read_text(encoding="utf-8")
    .replace("OWN_IBAN", account["iban"])
    .replace("NUMBER", str(int(last["number"] or 0) + 1))
    .replace("OPENING", f"{opening:.2f}")
    .replace("CLOSING", f"{opening + Decimal('1190.00'):.2f}")
    .replace("DAY", day.isoformat())
)
