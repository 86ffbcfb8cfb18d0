"""Operators' work on stored data: open turns, dead letters, feedback, retention, personal data, copies."""
