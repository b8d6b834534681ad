"""What `descend` walks, and the pictures of it."""
