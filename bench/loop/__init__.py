"""headrace bench loop: what the whole loop brings on real Kafka, against no reaction and against labels at random.

story      pure: what a release is trained on, what streams in, what releases are judged by
policies   who is asked for labels, and what the application's file says about retraining
run        one run: all roles on Kafka, customers who write, people who label
watching   what the topics say of a run: decisions, releases, requests
figures    pure: accuracy over time, labels, losses, waiting times
"""
