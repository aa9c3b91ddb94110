"""Prometheus metrics of the runtime and of what a service measures; one registry per process, labels bound once.

Names are held against deploy/alerts.yaml and deploy/grafana.json by tests/contract/test_alerts.py. No label ever names
a customer.
"""

from prometheus_client import Counter, Gauge, Histogram

PER_PARTITION = ["topic", "partition"]
LAG = Gauge("recoup_consumer_lag_records", "Records behind the end of the log", PER_PARTITION)
LAG_AGE = Gauge("recoup_consumer_lag_seconds", "Time since the position was the end of the log", PER_PARTITION)
NO_PROGRESS = Gauge(
    "recoup_no_progress_seconds", "Time since the cursor last moved while records wait for it, the worst partition"
)
PARTITIONS = Gauge("recoup_partitions_assigned", "Partitions that this process owns")
STOPPED = Gauge("recoup_partition_stopped", "1 while a partition is stopped and waits for a person", PER_PARTITION)
REBALANCES = Counter("recoup_rebalances_total", "Assignments that this process was given")
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
MARKERS_OPEN = Gauge("recoup_markers_open", "Markers that were read and are not yet forwarded")
TIMERS_FIRED = Counter("recoup_timers_fired_total", "Timers fired")
DAY_PARTS = Counter("recoup_day_parts_total", "Parts of a closed day's work that this process did")
TIMERS_FAILED = Counter("recoup_timers_failed_total", "Timers that failed and were put back")
TIMERS_LATE = Gauge("recoup_timers_late_seconds", "How long the oldest due timer has been due", ["clock"])
TIMERS_WAITING = Gauge("recoup_timers_put_back", "Timers that failed at least once and wait for another try")
TIMER_LATENESS = Histogram(
    "recoup_timer_lateness_seconds",
    "From due to fired, by the clock that the timer keeps",
    ["clock"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
RETRIES = Counter("recoup_retries_total", "Transient failures that were tried again", ["loop"])
GATE_DECISIONS = Counter(
    "recoup_gate_decisions_total",
    "Judgements of the gate, one per reason; `reason` is empty where nothing stood against it",
    ["of", "outcome", "reason"],
)
WEBHOOK_BACKLOG = Gauge("recoup_webhook_backlog", "Deliveries to access systems that are not confirmed")
WEBHOOK_OLDEST = Gauge("recoup_webhook_oldest_seconds", "Time since the first try of the oldest unconfirmed delivery")
MAILS = Counter(
    "recoup_mails_total",
    "What became of mails at the server; `unknown`: it may or may not have left, a person must look",
    ["result"],
)
DROP_FILES_WAITING = Gauge("recoup_drop_files_waiting", "Complete files in the drop folder that could not be taken yet")
NOTICES_WAITING = Gauge("recoup_notices_waiting", "Notices that were requested and are not yet decided")
