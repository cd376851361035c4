"""What a list is made of.

features  what speaks for each item, of all items or of candidates alone
lists     from scores to a list: diverse, with places for exploration
reasons   why each item stands there
"""
