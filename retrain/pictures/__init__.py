"""From labelled pictures to the picture network of a release."""
