"""What is recommended, on logs of users and items: Headrace beside popularity, item-kNN, ALS and BPR.

files/      a file of interactions, a file of items, as public data sets and shops have them
protocols   pure: which interactions train, which are to be foretold
figures     pure: NDCG, hit rate and recall over full rankings
methods     pure: what everybody has, and Headrace's own, one shape for all
peers       ALS and BPR of the library `implicit`
cold        items that nobody has touched yet, by their words
live        the live recommender, event by event, beside what a shop has in ten lines
taste_change  the same with and without learning, after all users turned to other items
speed       events at a rate, each with its list: how long it waits, memory, a rebuild
campaign    protocol by protocol, method by method; choices on a validation part of the training interactions
"""
