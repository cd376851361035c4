"""Models as a process needs them: the encoder, the log of releases, the references of drift. It knows no training."""
