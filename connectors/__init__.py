"""One file per outside system, each behind a small port (`connectors.ports`)."""
