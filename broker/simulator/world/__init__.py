"""The state of the simulated WeCom."""

from broker.simulator.world.world import World

__all__ = ["World"]
