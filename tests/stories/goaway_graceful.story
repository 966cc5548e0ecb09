# The first says "soon", with the highest id there is; the second names the last.
fresh
0 client request 1 /a.A/One
1 server goaway 2147483647
1 client request 3 /a.A/One
2 server goaway 1
3 server response 1
3 server trailers 1 0
expect
started 1 /a.A/One @0
started 3 /a.A/One @1
ended 3 /a.A/One UNAVAILABLE 1-2 0/0
ended 1 /a.A/One OK 0-3 0/0
