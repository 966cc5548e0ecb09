# A frame that may not be there, and is none either: two things are wrong, in how many pieces ever it arrives. Counted
# as two. (Found by fuzzing.)
fresh
0 client request 1 /a.A/One literal
1 server raw 1 0 1 88
2 server raw 3 0 1 0000
3 server response 1
4 observer end
expect
started 1 /a.A/One @0
ended 1 /a.A/One UNAVAILABLE 0-4 0/0
loss resyncs 2
loss broken_frames 2
