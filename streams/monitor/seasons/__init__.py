"""What is usual of a stream at an hour of the week: how far out its texts lie, where, and which labels come."""
