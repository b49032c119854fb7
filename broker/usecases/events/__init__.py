"""The event log as its subscribers see it: groups, members, acknowledgement and redelivery."""
