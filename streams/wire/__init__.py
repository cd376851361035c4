"""What travels in the topics: records, their schemas, and the readers of other people's records."""
