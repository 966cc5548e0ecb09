# The client is done sending; the server may still answer, until it is gone.
fresh
0 client request 1 /a.A/One
0 client request 3 /a.A/Two
1 client fin
2 server response 1
2 server trailers 1 0
3 server gone
expect
started 1 /a.A/One @0
started 3 /a.A/Two @0
ended 1 /a.A/One OK 0-2 0/0
ended 3 /a.A/Two UNAVAILABLE 0-3 0/0
