"""Real Kafka and Elasticsearch on this machine, by Java and Maven."""
