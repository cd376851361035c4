"""Records that nobody should send.

records  generated from a seed, each kind in turn
shapes   those of which it is known what must become of them
sending  in every codec, in transactions that are committed, aborted or left open
"""
