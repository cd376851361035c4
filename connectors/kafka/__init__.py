"""Apache Kafka and the embedded broker behind the ports."""
