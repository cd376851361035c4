"""The applications that ship with Headrace: one TOML file and its own corpora each."""
