"""Lambda: functions as real processes behind AWS's own runtime client."""
