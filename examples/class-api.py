#!/usr/bin/env python3
"""The API of a ConnectorClass: GET /tickets/mine, a page of the tickets of whom the credential belongs to.

genkan asks it for the operations that spec.api.openapi marks with `x-provider-type: api`, and tells it the tool in three
headers. It is given the real credential and authenticates nobody: keep it behind a NetworkPolicy.

    python3 class-api.py [ADDRESS:PORT]        by default 127.0.0.1:8080
"""

import base64
import binascii
import http.server
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

PAGE, PER_PAGE, MOST_PER_PAGE = 1, 20, 100


class Failure(Exception):
    """An answer that is an error, in the form of Kubernetes."""

    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "reason": reason,
            "message": message,
            "code": code,
        }


def decode(value):
    """A header of genkan: base64 of JSON or text."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Failure(400, "BadRequest", "a header of the Connector cannot be read") from error


def tool_of(headers):
    """Where the tool is, and the Secret of the Connector: its type, and its data as text; no Secret, no type and no data."""
    meta = headers.get("X-Plugin-Meta")
    if meta is None:
        raise Failure(400, "BadRequest", "X-Plugin-Meta is missing: only genkan calls this API")
    secret = json.loads(decode(headers.get("X-Plugin-Secret", "e30=")))
    data = {key: base64.b64decode(value).decode() for key, value in secret.items()}
    return json.loads(decode(meta))["baseURL"], decode(headers.get("X-Plugin-Auth", "")), data


def number(query, name, otherwise):
    """A number of the query that is at least 1; anything else counts as not given."""
    try:
        return max(int(query.get(name, [otherwise])[0]), 0) or otherwise
    except ValueError:
        return otherwise


def tickets(address, key, search):
    """All tickets of whom the key belongs to, from the tool itself."""
    request = urllib.request.Request(f"{address}/v2/issues?assignee=me", headers={"X-Ticket-Key": key})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise Failure(error.code, "Unauthorized", "the tool does not accept the credential") from error
        raise Failure(502, "InternalError", f"the tool answers {error.code}") from error
    except (OSError, ValueError) as error:
        raise Failure(502, "InternalError", "the tool does not answer") from error
    return [ticket for ticket in found if search.lower() in ticket["title"].lower()]


class Api(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            self.reply(200, self.answer())
        except Failure as failure:
            self.reply(failure.code, failure.status)

    def answer(self):
        """A list as clients of the Connector API know it."""
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if url.path != "/tickets/mine":
            raise Failure(404, "NotFound", f"{url.path} is no resource of this API")
        address, _, data = tool_of(self.headers)
        if "key" not in data:
            raise Failure(401, "Unauthorized", "the Secret of the Connector has no key 'key'")
        found = tickets(address, data["key"], query.get("search", [""])[0])
        page, size = number(query, "page", PAGE), min(number(query, "itemsPerPage", PER_PAGE), MOST_PER_PAGE)
        items = [{"name": ticket["title"]} for ticket in found[(page - 1) * size : page * size]]
        return {"listMeta": {"totalItems": len(found)}, "items": items}

    def reply(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, form, *values):
        """The request line, and no header: these hold credentials."""
        sys.stderr.write(f"{self.address_string()} {form % values}\n")


def main():
    address, _, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080").rpartition(":")
    http.server.ThreadingHTTPServer((address, int(port)), Api).serve_forever()


if __name__ == "__main__":
    main()
