# An error without a response before it: one block with :status and grpc-status.
fresh
0 client request 1 /a.A/One
3 server trailers-only 1 12
expect
started 1 /a.A/One @0
ended 1 /a.A/One UNIMPLEMENTED 0-3 0/0
