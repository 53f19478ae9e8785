"""One request's way through the service: who asks, what may be waited for, pages, answers.

No route and no byte of HTTP is here.
"""
