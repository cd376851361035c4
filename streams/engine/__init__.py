"""Batches, bounds and acknowledging: the machine every role runs on. It knows no role, no Kafka client and no clock
but its own."""
