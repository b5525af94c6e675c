"""What is personal, sealed before it reaches a disk: stores over other stores, and the keys."""
