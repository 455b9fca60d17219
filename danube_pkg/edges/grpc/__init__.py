"""The coordinator's protocol: messages to typed values and back."""
