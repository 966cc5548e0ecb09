# CONTINUATION, padding and priority, cut anywhere.
fresh
0 client request 1 /a.A/One continuation=10 pad=7 priority more=x-long:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
1 server response 1 continuation=1
2 server trailers 1 0 continuation=3 pad=0
3 client request 3 /a.A/One pad=255
4 server trailers-only 3 5 continuation=2
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
started 3 /a.A/One @3
ended 3 /a.A/One NOT_FOUND 3-4 0/0
