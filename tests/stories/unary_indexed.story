# The second call of a connection is all indices.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server trailers 1 0
10 client request 3 /a.A/One
11 server response 3
12 server trailers 3 0
20 client request 5 /a.A/Two
21 server response 5
22 server trailers 5 5
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
started 3 /a.A/One @10
ended 3 /a.A/One OK 10-12 0/0
started 5 /a.A/Two @20
ended 5 /a.A/Two NOT_FOUND 20-22 0/0
