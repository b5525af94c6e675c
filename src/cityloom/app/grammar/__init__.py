"""What the `cityloom` command understands: its verbs by what they are about."""
