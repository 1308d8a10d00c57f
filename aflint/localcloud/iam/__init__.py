"""Identity: the roles that functions run under (IAM) and who is asking (STS)."""
