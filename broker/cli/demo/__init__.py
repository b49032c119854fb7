"""`wecom-broker demo`: walk the whole chain against the simulator, and print what happens."""
