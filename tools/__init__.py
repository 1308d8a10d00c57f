"""What the development of aflint needs and its users do not."""
