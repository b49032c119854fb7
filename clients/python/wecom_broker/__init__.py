"""Client of wecom-broker."""
