"""A picture beside a text: its bytes to pixels within limits, pixels to a label by a small convolutional network."""
