"""The metrics by what they are about, each with its help text and labels; `streams.metrics` sets them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from streams.batch_histogram import BatchHistogram

LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
BATCH_EVENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class DecisionFamilies:
    """What workers decided."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "headrace_decisions",
            "Decisions confirmed by the broker, by the way they took: fast, full or cache",
            ["app", "path"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "headrace_dead_letters",
            "Records that could not be decided, by reason",
            ["app", "reason"],
            registry=registry,
        )
        self.passed_over = Counter(
            "headrace_passed_over",
            "Records with nothing to decide in them, by reason: tombstone, delete",
            ["app", "reason"],
            registry=registry,
        )
        self.left_out = Counter(
            "headrace_records_left_out",
            "Records beside the decisions (signals, trials, alerts) that the broker refused for good, by topic",
            ["app", "topic"],
            registry=registry,
        )
        self.audits = Counter(
            "headrace_audits",
            "Fast decisions that the encoder made as well, by whether both agree",
            ["app", "agrees"],
            registry=registry,
        )
        self.trials = Counter(
            "headrace_trials",
            "Decisions that a canary or shadow made as well, by whether it agrees with the champion",
            ["app", "role", "agrees"],
            registry=registry,
        )
        self.latency = BatchHistogram(
            "headrace_decision_latency_seconds", "From the record's own time to the decision", "app", LATENCY_SECONDS
        )
        registry.register(self.latency)


class EngineFamilies:
    """How the engines work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch = Histogram(
            "headrace_batch_events", "Events in a batch", ["engine"], buckets=BATCH_EVENTS, registry=registry
        )
        self.wait = Histogram(
            "headrace_queue_wait_seconds",
            "How long a batch's oldest event waited for it",
            ["engine"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self.stage = Histogram(
            "headrace_stage_seconds",
            "Time of a batch in a stage: prepare (parse, n-grams, tokenise), encode (encoder), decide (heads, "
            "records), publish (produce and confirm), index, observe, retrain",
            ["engine", "stage"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self.stage_events = Counter(
            "headrace_stage_events", "Events that a stage finished", ["engine", "stage"], registry=registry
        )


class ConsumerFamilies:
    """Where the consumers stand."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "headrace_lag_events",
            "Events between the committed position and the partition's end",
            ["role", "topic", "partition"],
            registry=registry,
        )
        self.kept_back = Gauge(
            "headrace_behind_open_transaction_events",
            "Offsets from a partition's oldest open transaction to its end, which are not read before it ends",
            ["topic", "partition"],
            registry=registry,
        )
        self.partitions = Gauge(
            "headrace_partitions", "Partitions that this process was given", ["role"], registry=registry
        )
        self.paused = Gauge(
            "headrace_paused_partitions", "Partitions paused by back-pressure", ["role"], registry=registry
        )
        self.in_flight = Gauge(
            "headrace_in_flight_events", "Events taken and not finished", ["role"], registry=registry
        )
        self.cut = Gauge(
            "headrace_cut_partitions",
            "Partitions held because their next record is no longer in the log",
            ["role"],
            registry=registry,
        )


class ReleaseFamilies:
    """What serves, and what came of retrainings."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.model = Info(
            "headrace_model",
            "The releases that serve, by role: champion, canary, shadow",
            ["app", "role"],
            registry=registry,
        )
        self.swaps = Counter("headrace_release_swaps", "Releases that took over", ["app"], registry=registry)
        self.refused = Counter(
            "headrace_releases_refused",
            "Releases that were refused, so that the champion went on",
            ["app"],
            registry=registry,
        )
        self.retrainings = Counter(
            "headrace_retrainings",
            "Retrainings that ended, by outcome: finished (released or not better), failed",
            ["app", "outcome"],
            registry=registry,
        )
        self.labelled = Gauge(
            "headrace_labelled_texts",
            "Labelled texts at the last training: taken, or why they did not count",
            ["app", "outcome"],
            registry=registry,
        )


class ProcessFamilies:
    """How the process is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.loop_delay = Histogram(
            "headrace_event_loop_delay_seconds",
            "How much later than asked the event loop woke a sleeper",
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self.silence = Gauge(
            "headrace_broker_silence_seconds", "Since the broker last answered a look", registry=registry
        )
        self.ready = Gauge("headrace_ready", "Whether /health/ready says yes: 1 or 0", registry=registry)
