"""A campaign of faults against the real commands on real services, and the verdict over what was seen.

ledger     what happened, as clients saw it: values, appended to a file of JSON lines
judge      the verdict: a pure function over the ledger and the ids in the store
ground     what a campaign is run with
scene      services, processes and traffic (a folder)
fault      what a fault is: prepare, inject, is_seen, heal, guarantee; rows: the faults (a folder)
campaign   shuffles the rows and runs them one after the other, gated by progress
hostile    records that nobody should send (a folder)
"""
