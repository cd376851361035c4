"""What `headrace data` does: checks, cleans and splits files of labelled texts."""
