"""What an operator runs: doctor, validate, backup and restore, the checks before an upgrade."""
