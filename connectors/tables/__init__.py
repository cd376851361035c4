"""Formats of table files: one file a format. What takes a file takes them by `connectors.table_files`."""
