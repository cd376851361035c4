"""Which of the answers found is the best one, and how sure that is."""
