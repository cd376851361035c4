"""The monitor's state beyond one process.

parts      each part of it taken, taken up again or lost on its own
snapshot   all parts as one bounded record of `monitor.state`
rebuilding a state from what stands in the topics
"""
