"""What an operator runs: doctor now, later backup, migrate, verify."""
