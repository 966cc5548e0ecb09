# The call failed, but nobody knows how.
fresh
0 client request 1 /a.A/One
1 server trailers-only 1 17
2 client request 3 /a.A/One
3 server trailers-only 3 -1
4 client request 5 /a.A/One
5 server trailers-only 5 99999999999999999999
6 client request 7 /a.A/One
7 server headers 7 end
  :status: 200
  content-type: application/grpc
  grpc-status:
8 client request 9 /a.A/One
9 server headers 9 end
  :status: 200
  grpc-status: OK
expect
started 1 /a.A/One @0
ended 1 /a.A/One UNKNOWN 0-1 0/0
started 3 /a.A/One @2
ended 3 /a.A/One UNKNOWN 2-3 0/0
started 5 /a.A/One @4
ended 5 /a.A/One UNKNOWN 4-5 0/0
started 7 /a.A/One @6
ended 7 /a.A/One UNKNOWN 6-7 0/0
started 9 /a.A/One @8
ended 9 /a.A/One UNKNOWN 8-9 0/0
