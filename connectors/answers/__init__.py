"""Banks of questions with their answers: one file a store."""
