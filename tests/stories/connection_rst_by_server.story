# The connection ends under the calls.
fresh
0 client request 1 /a.A/One
0 client request 3 /a.A/Two
1 server response 1
2 server rst
expect
started 1 /a.A/One @0
started 3 /a.A/Two @0
ended 3 /a.A/Two UNAVAILABLE 0-2 0/0
ended 1 /a.A/One UNAVAILABLE 0-2 0/0
