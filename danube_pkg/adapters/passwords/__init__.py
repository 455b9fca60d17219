"""bcrypt hashes, checked in threads of their own."""
