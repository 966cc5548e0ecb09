# The request was not seen: a call without a beginning.
joined
0 client request 1 /a.A/One unseen
1 server response 1
1 server data 1 30
2 server trailers 1 5
3 client request 3 /a.A/Two literal
4 server trailers-only 3 0
expect
ended 1 _unknown NOT_FOUND ?-2 0/30
started 3 /a.A/Two @3
ended 3 /a.A/Two OK 3-4 0/0
loss unseen_requests 1
