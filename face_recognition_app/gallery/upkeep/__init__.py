"""What keeps a gallery right after people were enrolled."""
