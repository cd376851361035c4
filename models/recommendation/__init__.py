"""Which items to show whom: values in, values out.

recommender        a list for each user event, learnt while events pass
policy             fixed choices
events             what users do
users              what users did last, in arrays
catalogue          items by place, live
adapting/          a map of the items' embeddings, learnt in `retrain`, and the release that carries it
candidates/        which items of a large catalogue are scored
listing/           what speaks for each item, from scores to a list, and why each item stands there
titles             what an item's words say, as unit vectors
covisitation       which items go together, by who touched them and by what their words say
live_covisitation  the same, counted as events pass and fitted now and then
scoring            scores of all items for many users at once
ranker             a softmax regression over features of items, learnt online
popularity         what is touched of late, overall and in each segment
ranked             the best of a row of scores
"""
