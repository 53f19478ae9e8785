"""What each kind of job does, called with an attempt in hand, on real databases and stores."""
