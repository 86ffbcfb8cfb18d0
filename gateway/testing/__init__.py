"""What authors of channels and toolkits need to test their own code."""
