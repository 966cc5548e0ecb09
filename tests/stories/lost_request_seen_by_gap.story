# The gap is noticed before the answer comes: the call is one without a beginning.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server trailers 1 0
3 client request 3 /a.A/Two lost
3 client request 5 /a.A/Two
4 server response 3
5 server trailers 3 0
8 server trailers-only 5 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
started 5 _unknown @3
ended 3 _unknown OK ?-5 0/0
ended 5 _unknown OK 3-8 0/0
loss lost_records 1
loss resyncs 1
loss unknown_fields 4
loss unseen_requests 1
