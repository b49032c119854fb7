"""What the simulated WeCom knows: state only."""

from broker.simulator.world.world import World

__all__ = ["World"]
