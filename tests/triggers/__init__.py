"""What starts jobs and what is told about them: the real stores and the real engine, a clock that tests move."""
