# grpc-status comes first, also past the deadline.
fresh
0 client request 1 /a.A/One timeout=100m
150 server trailers-only 1 0
200 client request 3 /a.A/One timeout=100m
300 server trailers-only 3 4
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-150 0/0
started 3 /a.A/One @200
ended 3 /a.A/One DEADLINE_EXCEEDED 200-300 0/0
