"""The channel has no previews, since letters cannot be edited."""
