"""The soak: mixed jobs for an hour in one driver, every answer checked, everything held counted."""
