# Trailers, known whole, that say nothing.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server headers 1 end
  x-other: 1
3 client request 3 /a.A/One
4 server response 3 status=503
5 server headers 3 end
  x-other: 1
expect
started 1 /a.A/One @0
ended 1 /a.A/One UNKNOWN 0-2 0/0
started 3 /a.A/One @3
ended 3 /a.A/One UNAVAILABLE 3-5 0/0
