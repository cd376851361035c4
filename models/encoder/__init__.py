"""One graph that turns token ids into an embedding per text: built, quantised, run on a device."""
