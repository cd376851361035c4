"""What goes on around a training that tunes an encoder: its checkpoints, its figures."""
