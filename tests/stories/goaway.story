# Calls above the last id are not processed; those below go on, new ones above it have no chance.
fresh
0 client request 1 /a.A/One
0 client request 3 /a.A/One
0 client request 5 /a.A/Two
1 server goaway 3
2 server response 1
2 server trailers 1 0
3 server trailers-only 3 5
4 client request 7 /a.A/One
expect
started 1 /a.A/One @0
started 3 /a.A/One @0
started 5 /a.A/Two @0
ended 5 /a.A/Two UNAVAILABLE 0-1 0/0
ended 1 /a.A/One OK 0-2 0/0
ended 3 /a.A/One NOT_FOUND 0-3 0/0
started 7 /a.A/One @4
ended 7 /a.A/One UNAVAILABLE 4-4 0/0
