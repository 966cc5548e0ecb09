# Nobody allowed it: the block is malformed, and the next are decoded from the horizon.
fresh
0 client request 1 /a.A/One
1 server trailers-only 1 0
2 client resize 8192
2 client request 3 /a.A/One
3 server trailers-only 3 0
4 client request 5 /a.A/One literal
5 server trailers-only 5 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-1 0/0
started 3 _unknown @2
ended 3 _unknown OK 2-3 0/0
started 5 /a.A/One @4
ended 5 /a.A/One OK 4-5 0/0
loss resyncs 1
loss malformed_blocks 1
loss unknown_fields 1
