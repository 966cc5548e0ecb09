# Frames of wrong sizes, streams that do not exist.
fresh
0 client request 1 /a.A/One literal
1 server raw 3 0 1 0000
2 server raw 7 0 0 00000000
3 server reset 99 8
4 server raw 4 0 0 0001
5 server trailers-only 1 0 literal
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-5 0/0
loss resyncs 2
loss broken_frames 2
