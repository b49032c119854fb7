"""What the simulated WeCom knows: state only."""
