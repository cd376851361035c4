"""Records, topics and the Faust agents of every role."""
