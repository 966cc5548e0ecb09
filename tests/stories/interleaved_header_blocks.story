# Another frame inside a header block: no correct peer does that; what follows is decoded from the horizon.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server trailers 1 0
3 client raw 1 0 3 828684
3 client request 5 /a.A/One
4 client raw 9 4 3 be
5 client request 7 /a.A/One literal
6 server trailers-only 7 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
started 5 _unknown @3
started 7 /a.A/One @5
ended 7 /a.A/One OK 5-6 0/0
loss resyncs 2
loss broken_frames 2
loss unknown_fields 4
