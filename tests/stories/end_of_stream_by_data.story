# A server that forgets its trailers.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server data 1 10 end
expect
started 1 /a.A/One @0
ended 1 /a.A/One UNKNOWN 0-2 0/10
