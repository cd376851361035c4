"""How urgent a decision is, and by when somebody is to answer: values in, values out."""
