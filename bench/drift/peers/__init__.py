"""Other detectors on the same streams. Each runs in a process, of another environment where its libraries are not in
this one; what it needs of Headrace is `order` and `tuning` alone.
"""
