"""Questions to people: each is asked once and answered once, in the place where it was asked."""
