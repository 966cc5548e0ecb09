# A request from the server is nobody's call.
fresh
0 client request 1 /a.A/One
1 server request 3 /a.A/One
2 client trailers-only 1 5
3 server trailers-only 1 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-3 0/0
loss contradictions 2
