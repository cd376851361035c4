"""Does a decision change where only a name, a gender or a place does? Own sentences, never trained on."""
