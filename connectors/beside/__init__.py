"""What both stores keep beside decisions, documents of its own: which story a decided item tells, windows of trends."""
