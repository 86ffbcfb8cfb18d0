"""Questions: what one person is to decide, asked once and answered once, in the place where it was asked."""
