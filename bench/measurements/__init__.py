"""The measurements. Each module measures one part of the gateway and returns rows of the table."""
