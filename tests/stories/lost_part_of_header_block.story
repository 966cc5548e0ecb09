# The ring was full for the rest of a block.
fresh
0 client request 1 /a.A/One continuation=20 lost=rest
1 client request 3 /a.A/One literal
2 server trailers-only 1 0
3 server trailers-only 3 0
expect
started 3 /a.A/One @1
ended 1 _unknown OK ?-2 0/0
ended 3 /a.A/One OK 1-3 0/0
loss lost_records 1
loss resyncs 1
loss unseen_requests 1
