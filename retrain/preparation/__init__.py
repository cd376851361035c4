"""What is wrong with labelled texts before they train, and what is done about it. Pure: rows in, findings or rows
out."""
