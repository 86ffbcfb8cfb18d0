"""The measurements: each module measures one thing and returns rows of the table."""
