"""Sources and requests drawn at random, and damaged ones; what drew them can be drawn again."""
