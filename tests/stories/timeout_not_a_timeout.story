# A header that is no timeout is none.
fresh
0 client request 1 /a.A/One timeout=soon
5000 client reset 1 8
expect
started 1 /a.A/One @0
ended 1 /a.A/One CANCELLED 0-5000 0/0
