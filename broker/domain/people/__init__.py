"""Who uses an app: members and visitors, and their mini-program sessions."""
