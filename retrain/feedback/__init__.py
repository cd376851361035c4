"""Which of people's labels train: what keeps a bad one out of a release."""
