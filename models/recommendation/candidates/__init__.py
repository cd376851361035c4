"""Of a catalogue that is too large to score whole: which items are scored.

choosing    the candidates for one user
neighbours  the items that read most like one, exactly or by an index
"""
