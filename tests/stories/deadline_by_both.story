# Client and server reset: the first is the end, the second changes nothing.
fresh
0 client request 1 /a.A/One timeout=100m
100 client reset 1 8
101 server reset 1 8
102 server trailers-only 1 4
expect
started 1 /a.A/One @0
ended 1 /a.A/One DEADLINE_EXCEEDED 0-100 0/0
