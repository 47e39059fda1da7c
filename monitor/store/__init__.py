"""Where state lives: one transaction per commit."""
