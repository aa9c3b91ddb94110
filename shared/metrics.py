"""Prometheus metrics of the runtime; one registry per process, labels bound once."""

from prometheus_client import Counter, Gauge, Histogram

LAG = Gauge("recoup_consumer_lag_records", "Records behind the end of the log", ["topic"])
BATCH = Histogram(
    "recoup_batch_records", "Records per batch", buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)
)
TRANSACTION = Histogram(
    "recoup_transaction_seconds",
    "Duration of a batch's transaction",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
FACTS = Counter("recoup_facts_total", "Facts decided")
EMITTED = Counter("recoup_emitted_total", "Events written to the outbox")
RELAYED = Counter("recoup_relayed_total", "Outbox rows acknowledged by the bus")
OUTBOX_AGE = Gauge("recoup_outbox_oldest_seconds", "Age of the oldest row in the outbox")
OUTBOX_ROWS = Gauge("recoup_outbox_rows", "Rows in the outbox")
PARKED_KEYS = Gauge("recoup_parked_keys", "Keys that are parked")
POLICIES_REFUSED = Gauge("recoup_policies_refused", "Activated policies that this service cannot read")
MARKER_AGE = Gauge("recoup_marker_age_seconds", "Wall-clock age of the last complete tick")
TIMERS_FIRED = Counter("recoup_timers_fired_total", "Timers fired")
TIMERS_FAILED = Counter("recoup_timers_failed_total", "Timers that failed and were put back")
RETRIES = Counter("recoup_retries_total", "Transient failures that were tried again", ["loop"])
