# The client speaks of the server's streams; its calls go on.
fresh
0 client request 1 /a.A/One
1 client goaway 0
2 server response 1
2 server trailers 1 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
