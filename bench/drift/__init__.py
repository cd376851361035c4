"""headrace bench drift: delay, false alarms, names and costs of the drift monitor on streams made from public sets.

texts, streams, noise   pure: labelled sets, which rows train and which are shown, in which order
encoding, releases      real `quick` releases on INT8 embeddings; each text is encoded once
playing                 a stream through the live monitor's core
figures, names          pure: what came of it
rows/                   the streams of the table, one function each
"""
