"""What a rebuild of the projections is compared by, where rows are not the measure.

`bank_day` spreads its sums over rows by connection. A payment's events come by several keys, so a version that was
overtaken within a day left postings the first time or did not: what counts is what they sum to, by day.
"""

BANK_DAYS = """
select company, bank_account, currency, figure, accounted_on, sum(minor) as minor from {schema}.bank_day
group by company, bank_account, currency, figure, accounted_on having sum(minor) <> 0
"""
PAYMENT_POSTINGS = """
select company, payment_id, place, account_id, currency, bank_account, accounted_on, business_date,
    sum(delta_minor) as minor
from {schema}.payment_posting
group by company, payment_id, place, account_id, currency, bank_account, accounted_on, business_date
having sum(delta_minor) <> 0
"""
COMPARED = {"bank_day": BANK_DAYS, "payment_posting": PAYMENT_POSTINGS}
