"""Whether the texts are still those that the model learnt."""
