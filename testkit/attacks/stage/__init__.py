"""What attacks are made of: cameras, footage, flat things held before a camera."""
