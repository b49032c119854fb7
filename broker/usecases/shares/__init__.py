"""The child corps that each app is shared with, and what follows when that changes."""
