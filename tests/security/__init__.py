"""What an attacker would try: other tenants, secrets, addresses, sizes, and what is let out."""
