"""Staged incidents: what the doctor prints, which alert fires, and that the printed remedy works."""
