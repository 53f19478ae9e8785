"""The console: pages for people, made on the server, at `/`.

It decides nothing: each page asks the services that the routes ask, with the same authentication,
rights and limits, and shows what they say. `app.py` puts it into the web process, `session.py` says
who looks, `routing.py` turns a refusal into a page, `rendering.py` makes the HTML, and `pages/` has
a module for each page. No template and no script is anywhere else.
"""
