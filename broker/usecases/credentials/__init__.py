"""Credentials: fetched once for the fleet, kept fresh, and handed out."""
