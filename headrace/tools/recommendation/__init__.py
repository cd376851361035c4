"""`headrace recommend`: a list for a user or beside an item, from all events that the topic or a file holds."""
