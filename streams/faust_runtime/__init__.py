"""The only place with Faust and aiokafka: a role as a member of a consumer group."""
