"""How a version comes to serve, and goes: settings, measures, evidence and what follows of them. Pure."""
