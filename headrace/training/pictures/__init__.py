"""A folder of labelled pictures to the picture part of a release."""
