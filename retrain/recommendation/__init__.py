"""Learning of what users touched: a map of the items' embeddings, and whether it is better.

touches       events as numbers, in the order of time, and what is held out of them
map_training  the map
map_judging   the gate's word on it
"""
