"""Fine-tuning an encoder together with heads on it, in torch (the `train` extra): plan, model, losses, loop."""
