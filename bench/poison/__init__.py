"""`headrace bench poison`: can bad labels get a worse model released?"""
