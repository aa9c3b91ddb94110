"""Command line of the generator: `python -m sample --seed 1 --days 60 --out DIR`."""

import argparse
import sys

from sample.quarter import generate


def main() -> int:
    about = "Write a seeded sample quarter with its truth."
    parser = argparse.ArgumentParser(prog="python -m sample", description=about)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=60, help="business days, from 2026-01-05 on")
    parser.add_argument("--out", required=True, help="a new or empty directory")
    parser.add_argument("--customers", type=int, default=None, help="default: 400, or 120 for less than 30 days")
    parser.add_argument("--documents", type=int, default=None, help="default: 4000 for 60 days, in proportion for less")
    given = parser.parse_args()
    try:
        truth = generate(given.seed, given.days, given.out, customers=given.customers, documents=given.documents)
    except (ValueError, FileExistsError) as error:
        print(f"sample: {error}", file=sys.stderr)
        return 2
    counts = ", ".join(
        f"{truth.expected[name]} {name}" for name in ("customers", "documents", "payments", "statements")
    )
    print(f"{counts} written to {given.out}")
    for kind, row in truth.rates["shares"].items():
        print(f"  {kind:28} at least {row['minimum']}  realised {row['realised']}  by value {row['realised_by_value']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
