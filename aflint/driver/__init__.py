"""What goes on in the driver between an action and the scheduler."""
