"""The entities of a release that is trained: their names and labelled texts out of files."""
