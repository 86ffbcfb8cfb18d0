"""Attachments as models read them: the files that a model takes, and texts for all else."""
