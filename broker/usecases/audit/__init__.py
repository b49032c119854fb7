"""What is recorded for audits, and how often."""
