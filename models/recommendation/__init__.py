"""Which items to show whom: values in, values out.

titles         what an item's words say, as unit vectors
covisitation   which items go together, by who touched them and by what their words say
ranked         the best of a row of scores
"""
