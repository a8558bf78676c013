"""A WSGI application without any framework."""
import os


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"gunicorn, process {os.getpid()}, asked for {environ['PATH_INFO']}\n".encode()]
