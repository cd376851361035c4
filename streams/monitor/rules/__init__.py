"""Rules of an application's file: what is seen, and when that is an alert."""
