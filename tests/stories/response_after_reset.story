# The answer was on its way when the client cancelled.
fresh
0 client request 1 /a.A/One
1 client reset 1 8
2 server response 1
2 server data 1 30
3 server trailers 1 0
4 client request 3 /a.A/One
5 server response 3
6 server trailers 3 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One CANCELLED 0-1 0/0
bytes /a.A/One 0/30
started 3 /a.A/One @4
ended 3 /a.A/One OK 4-6 0/0
