"""HTTP for the REST client: sessions, replies, deadlines and polling.

Two things are not taken from requests unchanged, and a row of ``python -m tests.benchmarks`` justifies each:

- `session` holds requests to a deadline and a size limit for the whole reply. "predict of one row from Python, REST"
  compares it with plain ``requests.Session().post``: it may take at most 1.5 times as long (about 1.2 is measured).
- `poll` reads the status of a model with http.client. "tfserve ps with 3 servers" compares the command with the import
  of the Docker SDK: for local servers, importing requests would make the command about 40 % slower.
"""
