"""The peers of `headrace bench throughput`, a module each: `python -m bench.peers.NAME ORDER` runs one until SIGTERM.

All of them read the same topic, decide with the same weights and write the same fields.
"""
