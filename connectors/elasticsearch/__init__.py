"""Elasticsearch as a decision store."""
