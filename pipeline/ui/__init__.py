"""A finished run in a browser: its videos, what every model says of them, and marks of wrong labels."""
