"""The replicas of the fleet: what each reports of itself, and what is known of the others."""
