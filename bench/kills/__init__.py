"""headrace bench kills: the loop, with one role after the other killed in the middle of it.

story     a corpus in which new subjects appear, and people who label
judging   pure: what stands in topics, registry, store and at the receiver, and what of it must not be
scene     one run: every role a process of its own, a receiver of alerts, and who kills
run       all runs, side by side with what came of them
"""
