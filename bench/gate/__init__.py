"""How often the gate lets challengers pass that are better, no better, or poisoned: simulated, its own code judges."""
