"""This channel shows nothing of a running turn, since letters cannot be edited."""
