"""Style as ordinary tests. Each rule is a function from a file to what it finds; the rules are tested too."""
