"""The commands of the command line, each thin over a call of the library."""
