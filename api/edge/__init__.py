"""One request's way through the service: who asks, what may be waited for, pages, answers.

Routes are in `api.routes`, the bytes of HTTP in `api.wire`.
"""
