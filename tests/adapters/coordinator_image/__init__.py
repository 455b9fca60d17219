"""The coordinator image: headers of programs, the collection of files, the archive, and the image in containers."""
