"""Of a catalogue that is too large to score whole: which items are scored.

choosing    the candidates for one user
following   what users touched after which items, of late
neighbours  the items that read most like one, exactly or by an index
"""
