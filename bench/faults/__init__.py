"""A campaign of faults against the real commands on real services, and the verdict over what was seen.

ledger     what happened, as clients saw it: values, appended to a file of JSON lines
judge      the verdict: a pure function over the ledger and the ids in the store
cluster    three brokers and one Elasticsearch of the campaign's own
proxy      an HTTP proxy before Elasticsearch that refuses on demand
processes  the product's own commands as processes: start, stop, kill
traffic    a paced producer, and readers of decisions and alerts
releases   releases to promote, and broken ones
fault      what a fault is: prepare, inject, is_seen, heal, guarantee; process_rows, service_rows: the faults; rows: all
campaign   shuffles the rows and runs them one after the other, gated by progress
hostile    records that nobody should send; hostile_shapes: those of which it is known what must become of them;
           hostile_sending: in every codec, in transactions that are committed, aborted or left open
"""
