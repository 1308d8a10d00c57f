"""The scheduler: what runs when, decided by a pure state machine and carried out by asyncio."""
