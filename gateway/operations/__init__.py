"""Operators' work on stored data: status, open turns, dead letters, feedback, retention, personal data, copies."""
