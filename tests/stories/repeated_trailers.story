# Late and repeated trailers are no second call.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server trailers 1 0
3 server trailers 1 13
4 server trailers-only 1 5
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
