# RST_STREAM(NO_ERROR) after the end: the server wants no more of the request.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server trailers 1 0
2 server reset 1 0
3 client reset 1 8
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
