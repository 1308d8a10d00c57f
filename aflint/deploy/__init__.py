"""What runs jobs on AWS: its bundle, role, bucket and functions, brought up, looked at, removed."""
