"""Every role of one application killed in mid-work, and what came of it beside a run in which nobody was."""
