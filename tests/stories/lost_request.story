# The request found the ring full; its answer is seen before that is noticed. A call without a beginning.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server trailers 1 0
3 client request 3 /a.A/Two lost
4 server response 3
5 server trailers 3 0
6 client request 5 /a.A/Two
7 server response 5
8 server trailers 5 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
ended 3 _unknown OK ?-5 0/0
started 5 _unknown @6
ended 5 _unknown OK 6-8 0/0
loss lost_records 1
loss resyncs 1
loss unknown_fields 4
loss unseen_requests 1
