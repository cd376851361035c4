"""The monitor: signals and labels in; alerts, episodes and retrain requests out."""
