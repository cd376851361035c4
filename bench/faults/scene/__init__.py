"""What a campaign works with: services and processes of its own, the traffic between them, and what is seen of it.

scene      all of it together, within a `with` block
product    the application, its settings, its commands and processes
crew       the processes that run, and who starts them again
clients    who sends and who reads, and what they know of the topics
cluster    three brokers and one Elasticsearch of the campaign's own
proxy      an HTTP proxy before Elasticsearch that refuses on demand
processes  the product's own commands as processes: start, stop, kill; staged, staged_child: the same, to be met at the
           right moment
traffic    a paced producer, and readers of decisions and alerts
releases   releases to promote, and broken ones
monitors   what monitors should have come to, from the topics alone
"""
