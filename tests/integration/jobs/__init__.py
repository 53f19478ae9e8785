"""The job protocol on real databases: claims, leases, rescue, and its model drawn at random."""
