# Smaller, nothing, larger as allowed by the other side.
fresh
0 server settings 8192
0 client request 1 /a.A/One
1 server trailers-only 1 0
2 client resize 0
2 client resize 100
2 client request 3 /a.A/One
3 server trailers-only 3 0
4 client resize 8192
4 client request 5 /a.A/One
5 server trailers-only 5 0
6 client request 7 /a.A/One
7 server trailers-only 7 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-1 0/0
started 3 /a.A/One @2
ended 3 /a.A/One OK 2-3 0/0
started 5 /a.A/One @4
ended 5 /a.A/One OK 4-5 0/0
started 7 /a.A/One @6
ended 7 /a.A/One OK 6-7 0/0
