"""The monitor's state beyond one process.

parts      each part of it taken, taken up again or lost on its own
snapshot   all parts as one bounded record of `monitor.state`
news       the stories of a feed, as a record of their own
rebuilding a state from what stands in the topics
"""
