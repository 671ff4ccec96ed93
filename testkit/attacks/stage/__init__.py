"""Building blocks of attacks: cameras, footage, flat things held before a camera."""
