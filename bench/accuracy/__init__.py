"""headrace bench accuracy: how often releases are right, beside published results, on public sets.

sets        pure: which sets, which of their rows train and test in each draw, what is asked of them
floor       TF-IDF and a linear support vector machine on the same rows
results     pure: a training's figures; draws of a set as one line; the file that a stopped campaign goes on from
entities    what is said of each entity of a text, draw by draw
found_entities  the same where names are to be found
campaign    set by set, strategy by strategy, draw by draw
"""
