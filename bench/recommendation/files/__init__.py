"""Logs of who touched what as public sets and shops have them, as numbers.

opening   a file as columns and rows: with a header or without one, other encodings
columns   which of them is the user, the item, the time
log       all of it read, checked against each other
core      a log without users and items of few interactions
"""
