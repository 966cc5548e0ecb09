# Index 0; the next calls are decoded from the horizon.
fresh
0 client request 1 /a.A/One
1 server trailers-only 1 0
2 client raw 1 4 3 80
3 server trailers-only 3 5
4 client request 5 /a.A/One
5 server trailers-only 5 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-1 0/0
started 3 _unknown @2
ended 3 _unknown NOT_FOUND 2-3 0/0
started 5 _unknown @4
ended 5 _unknown OK 4-5 0/0
loss resyncs 1
loss malformed_blocks 1
loss unknown_fields 5
