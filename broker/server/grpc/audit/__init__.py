"""What calls leave in the audit trail."""
