"""The whole service while something is killed, frozen, full or cut off; an oracle judges."""
